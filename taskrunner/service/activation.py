"""Setting a pipeline going and stopping it, within a transaction of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from taskrunner.errors import DefinitionError, ErrorId, InvalidRequest
from taskrunner.model.decisions import Become, Decision, View
from taskrunner.model.document import Definition
from taskrunner.model.edits import Edit, forbidden_edits
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import InstanceStatus, PipelineState
from taskrunner.service.advance import (
    ActiveCounts,
    advance_instances,
    build_views,
    finish_pipelines,
)
from taskrunner.service.alike import Alike
from taskrunner.service.apply import SchedulingTransaction, apply
from taskrunner.service.definitions import Load, LoadedDefinition
from taskrunner.service.rerun import in_portions, rerun
from taskrunner.service.schedule_expander import ScheduleExpander
from taskrunner.service.store import audit
from taskrunner.service.store import due as due_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.rows import PipelineRow

#: In these states instances are being made or worked on by the definition that was activated last.
ACTIVE_STATES = frozenset({PipelineState.SCHEDULED, PipelineState.DEACTIVATING})
#: Of a run on demand, the instances that are decided about where it is activated.
AT_ONCE = 100
_STOPPED = frozenset({PipelineState.DEACTIVATING, PipelineState.INACTIVE})


def activate(
    transaction: SchedulingTransaction, row: PipelineRow, load: Load, start: datetime | None
) -> None:
    """Make the latest version the active one and plan from it.

    Raises InvalidRequest when there is nothing to activate, or nothing that is left of it, and for
    a change that an active pipeline does not take; UsageError when the settings' selection selects
    nothing.
    """
    if row.latest_version == 0:
        raise InvalidRequest(f"pipeline {row.pipeline_id} has no definition to activate")
    conn, now, loaded = transaction.conn, transaction.now, load(row.pipeline_id, row.latest_version)
    before = load(row.pipeline_id, row.active_version) if row.active_version else None
    _check_edits(row, load, loaded)
    active = replace(
        row,
        active_version=row.latest_version,
        first_activated_at=row.first_activated_at or now.replace(microsecond=0),
        state=PipelineState.SCHEDULED,
    )
    audit.note(
        conn, row.pipeline_id, before=str(row.state), after=f"active, version {row.latest_version}"
    )
    pipeline_store.update_pipeline(
        conn,
        row.pipeline_id,
        state=active.state,
        active_version=active.active_version,
        first_activated_at=active.first_activated_at,
    )
    try:
        settings = transaction.settings
        planner = ScheduleExpander(active, loaded, before=before, checks=settings.checks)
        run = planner.activate(conn, now, start=start, selection=settings.selection)
    except DefinitionError as error:
        raise InvalidRequest(str(error)) from error
    if row.state is PipelineState.FINISHED and not loaded.on_demand:
        _check_anything_left(transaction, row)
    if row.state in _STOPPED:
        _resume(transaction, row, load, start)
    finish_pipelines(conn, [row.pipeline_id], load, transaction.now)
    if run is not None:
        # What it begins with is handed out as soon as this is committed; the rest of a large one
        # the scheduler decides about.
        begun = due_store.claim_run(conn, row.pipeline_id, run, now, AT_ONCE)
        advance_instances(transaction, begun, load)


def edits(row: PipelineRow, load: Load, wanted: Definition) -> Sequence[Edit]:
    """What keeps a definition from replacing the one by which a pipeline is active."""
    if not row.active_version or row.state not in ACTIVE_STATES:
        return ()
    return forbidden_edits(load(row.pipeline_id, row.active_version).definition, wanted)


def _check_edits(row: PipelineRow, load: Load, wanted: LoadedDefinition) -> None:
    found = edits(row, load, wanted.definition)
    if found:
        raise InvalidRequest(
            f"pipeline {row.pipeline_id} is active, and its new definition cannot replace the one "
            f"that runs: {'; '.join(map(str, found))}"
        )


def _check_anything_left(transaction: SchedulingTransaction, row: PipelineRow) -> None:
    """The API reference: "To activate a finished pipeline, modify the end date for the pipeline".

    A selection has made its instances already.
    """
    conn, pipeline_id = transaction.conn, row.pipeline_id
    left = any(s.next_at for s in pipeline_store.load_schedules(conn, pipeline_id))
    if not left and not instance_store.unfinished(conn, pipeline_id):
        raise InvalidRequest(
            f"pipeline {pipeline_id} has finished, and its schedule has no period left: put a "
            "definition with a later endDateTime or more occurrences first, or RERUN instances"
        )


def _resume(
    transaction: SchedulingTransaction, row: PipelineRow, load: Load, start: datetime | None
) -> None:
    """Take up again what the deactivation ended; what lies before `start` is SKIPPED.

    The guide's status page: "The component skipped intervals of execution after the pipeline was
    activated using a time stamp that is later than the current schedule".
    A run on demand stays canceled: whoever activates again asks for a new one.
    """
    if load(row.pipeline_id, row.latest_version).on_demand:
        return
    ended = [
        instance
        for instance in instance_store.canceled_by(
            transaction.conn, row.pipeline_id, ErrorId.DEACTIVATED
        )
        if not load(row.pipeline_id, instance.version).on_demand
    ]
    skipped = [i for i in ended if start is not None and i.scheduled_start < start]
    for some in in_portions(skipped):
        decide_about(transaction, row.pipeline_id, some, load, _skip)
    taken_up = [i for i in ended if start is None or i.scheduled_start >= start]
    rerun(transaction, row.pipeline_id, taken_up, by_hand=False)


def _skip(_view: View, _now: datetime) -> list[Decision]:
    # Out of an end leads only the way through the beginning.
    begin = Become(status=InstanceStatus.WAITING_ON_DEPENDENCIES)
    return [begin, Become(status=InstanceStatus.SKIPPED)]


def stop(transaction: SchedulingTransaction, row: PipelineRow, *, cancel_active: bool) -> None:
    """Make no more instances and hand out nothing more; what there is is to be ended next.

    Whether that goes for what runs is noted, for whoever takes it up when this service dies.
    """
    if row.state not in ACTIVE_STATES:
        raise InvalidRequest(f"pipeline {row.pipeline_id} is {row.state}, not active")
    conn = transaction.conn
    known = pipeline_store.load_schedules(conn, row.pipeline_id)
    stopped = [replace(schedule, next_at=None) for schedule in known]
    pipeline_store.replace_schedules(conn, row.pipeline_id, stopped)
    pipeline_store.update_pipeline(
        conn,
        row.pipeline_id,
        state=PipelineState.DEACTIVATING,
        last_deactivated_at=transaction.now,
        cancels_active=cancel_active,
    )


def decide_about(
    transaction: SchedulingTransaction,
    pipeline_id: str,
    rows: Sequence[InstanceRow],
    load: Load,
    what: Callable[[View, datetime], list[Decision]],
) -> None:
    """Decide about these instances by a rule of the caller's, and carry it out."""
    counts = ActiveCounts(transaction.conn, rows)
    alike = Alike(transaction)
    for loaded, view in build_views(transaction, pipeline_id, rows, load, counts):
        decisions = what(view, transaction.now)
        if alike.take(view, decisions) is None:
            apply(transaction, loaded, view, decisions)
    alike.carry_out()
    transaction.wake_up(pipeline_id)
