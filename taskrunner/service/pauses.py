"""Pausing and resuming: of what is paused nothing new begins, and what runs goes on to its end.

SetStatus takes PAUSE and RESUME for components (API reference), and here for instances and for a
whole pipeline, by its own id, as well. Each id is paused and resumed for itself: an instance is
held while it, its component or its pipeline is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from taskrunner.errors import InvalidRequest
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import INSTANCE_TERMINAL, PipelineState
from taskrunner.service.apply import SchedulingTransaction
from taskrunner.service.callers import Caller
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.service.rerun import in_portions
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import pauses as pause_store
from taskrunner.service.store.rows import PauseRow, PipelineRow

PAUSE, RESUME = "PAUSE", "RESUME"


def is_paused(row: InstanceRow, paused: Collection[str]) -> bool:
    """Whether an instance is held, itself or with its component, its backfill or its pipeline."""
    return bool(paused) and not paused_with(row).isdisjoint(paused)


def paused_with(row: InstanceRow) -> frozenset[str]:
    """The ids that hold an instance when one of them is paused."""
    held = {row.pipeline_id, row.component_id, row.instance_id}
    return frozenset(held | {row.backfill_id} if row.backfill_id else held)


def pause(
    transaction: SchedulingTransaction,
    pipeline: PipelineRow,
    object_ids: Sequence[str],
    loaded: LoadedDefinition | None,
    caller: Caller,
) -> None:
    """Let nothing new of these objects begin. Raises InvalidRequest for what cannot be paused."""
    pipeline_id = pipeline.pipeline_id
    over = pipeline.state is PipelineState.FINISHED
    if over and (loaded is None or not loaded.on_demand):
        raise InvalidRequest(
            f"pipeline {pipeline_id} has finished: nothing of it is left to be paused"
        )
    for row in _instances(transaction, pipeline_id, object_ids, loaded):
        if row.status in INSTANCE_TERMINAL:
            raise InvalidRequest(
                f"{row.instance_id} is {row.status}: only what has not ended can be paused"
            )
    hold(transaction, pipeline_id, object_ids, caller.user)


def hold(
    transaction: SchedulingTransaction, pipeline_id: str, object_ids: Sequence[str], user: str
) -> None:
    """Pause these, whatever they are; those that are paused already stay as they are."""
    conn = transaction.conn
    rows = [
        PauseRow(
            pipeline_id=pipeline_id,
            object_id=object_id,
            paused_at=transaction.now,
            paused_by=user,
        )
        for object_id in object_ids
    ]
    pause_store.insert_pauses(conn, rows)
    for some in in_portions(object_ids):
        # Instances come first, then their attempts: the order that everybody keeps.
        pause_store.wake_waiting(conn, pipeline_id, some, transaction.now)
        # At once, so that no runner is given any of it; the planner's next look does the rest.
        pause_store.withhold(conn, pipeline_id, some)


def resume(
    transaction: SchedulingTransaction,
    pipeline: PipelineRow,
    object_ids: Sequence[str],
    loaded: LoadedDefinition | None,
) -> None:
    """Let these objects go on. Raises InvalidRequest for one that is held by something else.

    No error for what is not paused at all.
    """
    conn, pipeline_id = transaction.conn, pipeline.pipeline_id
    rows = {
        row.instance_id: row for row in _instances(transaction, pipeline_id, object_ids, loaded)
    }
    paused = pause_store.paused_ids(conn, pipeline_id)
    for object_id in object_ids:
        if object_id not in paused:
            _check_not_held(object_id, rows.get(object_id), pipeline_id, paused)
    let_go(transaction, pipeline_id, object_ids)


def let_go(transaction: SchedulingTransaction, pipeline_id: str, object_ids: Sequence[str]) -> None:
    """Resume these, whatever they are."""
    conn = transaction.conn
    for some in in_portions(object_ids):
        pause_store.remove_pauses(conn, pipeline_id, some)
        pause_store.wake_waiting(conn, pipeline_id, some, transaction.now)


def _check_not_held(
    object_id: str, row: InstanceRow | None, pipeline_id: str, paused: Collection[str]
) -> None:
    if row is not None and row.component_id in paused:
        raise InvalidRequest(
            f"{object_id} is paused with its component: RESUME {row.component_id!r} instead"
        )
    if row is not None and row.backfill_id in paused:
        raise InvalidRequest(
            f"{object_id} is paused with its backfill: resume the backfill {row.backfill_id} "
            "instead"
        )
    if pipeline_id in paused:
        raise InvalidRequest(
            f"{object_id} is paused with its pipeline: RESUME {pipeline_id!r} instead"
        )


def _instances(
    transaction: SchedulingTransaction,
    pipeline_id: str,
    object_ids: Sequence[str],
    loaded: LoadedDefinition | None,
) -> list[InstanceRow]:
    """The instances among some objects, which must all be of one kind and be there."""
    if pipeline_id in object_ids:
        if set(object_ids) != {pipeline_id}:
            raise InvalidRequest("a pipeline's own id cannot stand among others: wanted it alone")
        return []
    components = set(loaded.objects) if loaded else set[str]()
    named = [object_id for object_id in object_ids if object_id in components]
    if len(named) == len(object_ids):
        _check_they_run(named, loaded)
        return []
    if named:
        raise InvalidRequest(
            f"{named[0]!r} is a component, others are not: wanted components or instances only"
        )
    found = [
        row
        for some in in_portions(object_ids)
        for row in instance_store.load_instances(transaction.conn, pipeline_id, some, lock=True)
    ]
    missing = set(object_ids) - {row.instance_id for row in found}
    if missing:
        raise InvalidRequest(f"no component or instance {min(missing)!r} in {pipeline_id}")
    return found


def _check_they_run(component_ids: Sequence[str], loaded: LoadedDefinition | None) -> None:
    runnable = loaded.components.runnable if loaded else {}
    idle = [component_id for component_id in component_ids if component_id not in runnable]
    if idle:
        raise InvalidRequest(
            f"{idle[0]!r} never runs: wanted activities, data nodes, preconditions or resources"
        )
