"""The fields of a pipeline as DescribePipelines shows them, in the real service's shape."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.errors import DefinitionError
from taskrunner.model.schedule import Schedule
from taskrunner.model.states import PipelineState
from taskrunner.service.definitions import Load, LoadedDefinition
from taskrunner.service.health import pipeline_health
from taskrunner.service.store import pauses as pause_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.rows import PipelineRow

Value = str | datetime | None
#: A pipeline, with its fields by their names.
Described = tuple[PipelineRow, Mapping[str, Value]]


def pipeline_fields(conn: Connection, row: PipelineRow, load: Load) -> Mapping[str, Value]:
    """Everything that is known of a pipeline; None: not yet, or not at all."""
    paused = row.pipeline_id in pause_store.paused_ids(conn, row.pipeline_id)
    return {
        "@pipelineState": "PAUSED" if paused else str(row.state),
        "name": row.name,
        "@creationTime": row.created_at,
        "@id": row.pipeline_id,
        "@sphere": "PIPELINE",
        "uniqueId": row.unique_id,
        "description": row.description,
        "pipelineCreator": row.user_id,
        "@userId": row.user_id,
        "@accountId": row.account,
        "@firstActivationTime": row.first_activated_at,
        "@lastDeactivatedTime": row.last_deactivated_at,
        "@latestRunTime": row.latest_run_at,
        **(_of_runs(conn, row, load) if row.active_version else {}),
    }


def _of_runs(conn: Connection, row: PipelineRow, load: Load) -> Mapping[str, Value]:
    """What is known of a pipeline that was activated."""
    loaded = load(row.pipeline_id, row.active_version)
    schedules = pipeline_store.load_schedules(conn, row.pipeline_id)
    next_runs = [s.next_at for s in schedules if s.next_at is not None]
    found: dict[str, Value] = {
        "@healthStatus": pipeline_health(conn, row.pipeline_id, loaded.components),
        "@nextRunTime": min(next_runs, default=None)
        if row.state is PipelineState.SCHEDULED
        else None,
    }
    return {**found, **schedule_fields(row, loaded)}


def schedule_fields(row: PipelineRow, loaded: LoadedDefinition) -> Mapping[str, Value]:
    """When the schedules of a pipeline that was activated begin and end."""
    if loaded.on_demand or row.first_activated_at is None:
        return {}
    try:
        used = list(loaded.schedules(row.first_activated_at).values())
    except DefinitionError:
        return {}
    ends = [_end(schedule) for schedule in used]
    return {
        "@scheduledStartTime": min((schedule.start for schedule in used), default=None),
        "@scheduledEndTime": None
        if None in ends
        else max((end for end in ends if end), default=None),
    }


def _end(schedule: Schedule) -> datetime | None:
    """Where the last period of a schedule ends; None: it goes on for ever."""
    last = schedule.occurrence(schedule.count - 1) if schedule.count else None
    return last.end if last else None
