"""Setting a pipeline going and stopping it, within a transaction of the caller's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.errors import DefinitionError, InvalidRequest
from taskrunner.model.planner import cancel
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import INSTANCE_TERMINAL, InstanceStatus, PipelineState
from taskrunner.service.advance import ActiveCounts, Load, build_views, finish_pipelines
from taskrunner.service.apply import Round, apply
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.service.planning import Planner
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.rows import PipelineRow

__all__ = ["activate", "cancel_instances", "deactivate"]


def activate(
    conn: Connection,
    row: PipelineRow,
    loaded: LoadedDefinition,
    settings: ServiceSettings,
    now: datetime,
    start: datetime | None,
) -> None:
    """Make the latest version the active one and plan from it.

    Raises InvalidRequest when there is nothing to activate or it has finished, UsageError when
    the settings' selection selects nothing.
    """
    if row.latest_version == 0:
        raise InvalidRequest(f"pipeline {row.pipeline_id} has no definition to activate")
    if row.state is PipelineState.FINISHED and not loaded.on_demand:
        raise InvalidRequest(f"pipeline {row.pipeline_id} has finished and cannot be activated")
    active = replace(
        row,
        active_version=row.latest_version,
        first_activated_at=row.first_activated_at or now.replace(microsecond=0),
        state=PipelineState.SCHEDULED,
    )
    pipeline_store.update_pipeline(
        conn,
        row.pipeline_id,
        state=active.state,
        active_version=active.active_version,
        first_activated_at=active.first_activated_at,
    )
    try:
        Planner(active, loaded).activate(conn, now, start=start, selection=settings.selection)
    except DefinitionError as error:
        raise InvalidRequest(str(error)) from error


def deactivate(round_: Round, row: PipelineRow, load: Load, *, cancel_active: bool) -> None:
    """Make no more instances; end those that wait, and with `cancel_active` the running ones."""
    if row.state not in {PipelineState.SCHEDULED, PipelineState.DEACTIVATING}:
        raise InvalidRequest(f"pipeline {row.pipeline_id} is {row.state}, not active")
    conn = round_.conn
    known = pipeline_store.load_schedules(conn, row.pipeline_id)
    stopped = [replace(schedule, next_at=None) for schedule in known]
    pipeline_store.replace_schedules(conn, row.pipeline_id, stopped)
    pipeline_store.update_pipeline(conn, row.pipeline_id, state=PipelineState.DEACTIVATING)
    rows = instance_store.load_instances(conn, row.pipeline_id)
    waiting = InstanceStatus.WAITING_ON_DEPENDENCIES
    ending = [r for r in rows if cancel_active or r.status is waiting]
    cancel_instances(round_, ending, load, "the pipeline was deactivated")
    finish_pipelines(conn, [row.pipeline_id])


def cancel_instances(round_: Round, rows: Iterable[InstanceRow], load: Load, message: str) -> None:
    """End instances by somebody's wish; those at their end are left as they are."""
    live: dict[str, list[InstanceRow]] = {}
    for row in rows:
        if row.status not in INSTANCE_TERMINAL:
            live.setdefault(row.pipeline_id, []).append(row)
    for pipeline_id, members in live.items():
        counts = ActiveCounts(round_.conn)
        for loaded, view in build_views(round_, pipeline_id, members, load, counts):
            apply(round_, loaded, view, cancel(view, message))
