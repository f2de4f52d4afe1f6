"""Setting a pipeline going and stopping it, within a transaction of the caller's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from taskrunner.errors import DefinitionError, ErrorId, InvalidRequest
from taskrunner.model.planner import cancel
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import InstanceStatus, PipelineState
from taskrunner.service.advance import ActiveCounts, build_views, finish_pipelines
from taskrunner.service.apply import SchedulingTransaction, apply
from taskrunner.service.definitions import Load
from taskrunner.service.rerun import in_portions, rerun
from taskrunner.service.schedule_expander import ScheduleExpander
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.rows import PipelineRow


def activate(
    transaction: SchedulingTransaction, row: PipelineRow, load: Load, start: datetime | None
) -> None:
    """Make the latest version the active one and plan from it.

    Raises InvalidRequest when there is nothing to activate or it has finished, UsageError when
    the settings' selection selects nothing.
    """
    if row.latest_version == 0:
        raise InvalidRequest(f"pipeline {row.pipeline_id} has no definition to activate")
    conn, now, loaded = transaction.conn, transaction.now, load(row.pipeline_id, row.latest_version)
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
        planner = ScheduleExpander(active, loaded)
        planner.activate(conn, now, start=start, selection=transaction.settings.selection)
    except DefinitionError as error:
        raise InvalidRequest(str(error)) from error
    if row.state in {PipelineState.DEACTIVATING, PipelineState.INACTIVE}:
        _resume(transaction, row, load, start)
    finish_pipelines(conn, [row.pipeline_id], load, transaction.now)


def _resume(
    transaction: SchedulingTransaction, row: PipelineRow, load: Load, start: datetime | None
) -> None:
    """Take up again what the deactivation ended, from `start` on.

    A run on demand stays canceled: whoever activates again asks for a new one.
    """
    if load(row.pipeline_id, row.latest_version).on_demand:
        return
    ended = [
        instance
        for instance in instance_store.load_instances(transaction.conn, row.pipeline_id)
        if instance.status is InstanceStatus.CANCELED
        and instance.error_id == ErrorId.DEACTIVATED
        and (start is None or instance.scheduled_start >= start)
        and not load(row.pipeline_id, instance.version).on_demand
    ]
    rerun(transaction, row.pipeline_id, ended, by_hand=False)


def deactivate(
    transaction: SchedulingTransaction, row: PipelineRow, load: Load, *, cancel_active: bool
) -> None:
    """Make no more instances; end those that wait, and with `cancel_active` the running ones."""
    if row.state not in {PipelineState.SCHEDULED, PipelineState.DEACTIVATING}:
        raise InvalidRequest(f"pipeline {row.pipeline_id} is {row.state}, not active")
    conn = transaction.conn
    known = pipeline_store.load_schedules(conn, row.pipeline_id)
    stopped = [replace(schedule, next_at=None) for schedule in known]
    pipeline_store.replace_schedules(conn, row.pipeline_id, stopped)
    pipeline_store.update_pipeline(conn, row.pipeline_id, state=PipelineState.DEACTIVATING)
    rows = instance_store.load_instances(conn, row.pipeline_id, live=True, lock=True)
    waiting = InstanceStatus.WAITING_ON_DEPENDENCIES
    ending = [r for r in rows if cancel_active or r.status is waiting]
    for some in in_portions(ending):
        _cancel(transaction, row.pipeline_id, some, load)
    finish_pipelines(conn, [row.pipeline_id], load, transaction.now)


def _cancel(
    transaction: SchedulingTransaction, pipeline_id: str, rows: Sequence[InstanceRow], load: Load
) -> None:
    message = "the pipeline was deactivated"
    counts = ActiveCounts(transaction.conn)
    for loaded, view in build_views(transaction, pipeline_id, rows, load, counts):
        apply(transaction, loaded, view, cancel(view, message, error_id=ErrorId.DEACTIVATED))
