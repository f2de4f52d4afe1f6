"""Changing pipelines as such: activate, deactivate, pause, resume; one, or all that are selected.

Each says the same again when it is asked for again: what is so already is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from taskrunner.errors import InvalidRequest, ServiceFault, TaskrunnerError
from taskrunner.model.document import ParameterValue
from taskrunner.model.states import PipelineState
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.handlers import pipelines as wire_handlers
from taskrunner.service.pauses import PAUSE, RESUME
from taskrunner.service.store import pauses as pause_store
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.v1.changes import newest_runs, rerun
from taskrunner.service.v1.outcomes import Done, Outcome, Outcomes
from taskrunner.service.v1.pipelines import chosen_pipelines
from taskrunner.service.v1.requests import (
    Activate,
    BulkPipelines,
    BulkRerun,
    Deactivate,
    OfPipelines,
    PauseObjects,
    Rerun,
)
from taskrunner.service.v1.scope import from_marker, to_marker
from taskrunner.service.v1.shapes import State
from taskrunner.wire.inputs import ActivatePipelineInput

#: Changes one pipeline, or says what would be changed; of instances, how many.
_Change = Callable[[PipelineRow], int | None]


def activate(service: Service, caller: Caller, request: Activate) -> Done:
    """Set the definition that was put last going; on demand, each time is another run."""
    wire_handlers.activate_pipeline(
        service,
        caller,
        ActivatePipelineInput(
            pipeline_id=request.pipeline_id,
            parameter_values=tuple(
                ParameterValue(id=key, value=value)
                for key, values in request.parameter_values.items()
                for value in values
            ),
            start_timestamp=request.start,
        ),
    )
    return _done(service, request.pipeline_id)


def deactivate(service: Service, caller: Caller, request: Deactivate) -> Done:
    """Stop a pipeline; one that is stopped, or is being stopped, is left so."""
    row = service.pipeline(request.pipeline_id, caller)
    if row.state not in {PipelineState.INACTIVE, PipelineState.DEACTIVATING}:
        service.deactivate(row.pipeline_id, cancel_active=request.cancel_active)
    return _done(service, row.pipeline_id)


def pause(service: Service, caller: Caller, request: PauseObjects) -> Done:
    """Hold a pipeline, or some of its objects."""
    return _set(service, caller, request, PAUSE)


def resume(service: Service, caller: Caller, request: PauseObjects) -> Done:
    """Let a pipeline, or some of its objects, go on."""
    return _set(service, caller, request, RESUME)


def _set(service: Service, caller: Caller, request: PauseObjects, word: str) -> Done:
    row = service.pipeline(request.pipeline_id, caller)
    ids = request.object_ids or (row.pipeline_id,)
    service.set_status(row.pipeline_id, ids, word, caller)
    return _done(service, row.pipeline_id)


def _done(service: Service, pipeline_id: str) -> Done:
    row = service.pipeline(pipeline_id)
    with service.store.read() as conn:
        paused = pipeline_id in pause_store.paused_ids(conn, pipeline_id)
    return Done(pipeline_id=pipeline_id, state=State.PAUSED if paused else State(row.state))


# -- many at once -------------------------------------------------------------------------------


def bulk_pause(service: Service, caller: Caller, request: BulkPipelines) -> Outcomes:
    """Hold pipelines."""

    def change(row: PipelineRow) -> None:
        _set(service, caller, PauseObjects(pipeline_id=row.pipeline_id), PAUSE)

    return _each(service, caller, request, change)


def bulk_resume(service: Service, caller: Caller, request: BulkPipelines) -> Outcomes:
    """Let pipelines go on."""

    def change(row: PipelineRow) -> None:
        _set(service, caller, PauseObjects(pipeline_id=row.pipeline_id), RESUME)

    return _each(service, caller, request, change)


def bulk_activate(service: Service, caller: Caller, request: BulkPipelines) -> Outcomes:
    """Set pipelines going; those on demand run once more."""

    def change(row: PipelineRow) -> None:
        activate(service, caller, Activate(pipeline_id=row.pipeline_id))

    return _each(service, caller, request, change)


def bulk_rerun(service: Service, caller: Caller, request: BulkRerun) -> Outcomes:
    """Begin again what did not end well in the last runs of pipelines."""

    def change(row: PipelineRow) -> int:
        span = newest_runs(service, row, request.runs)
        if span is None:
            return 0
        wanted = Rerun(
            pipeline_id=row.pipeline_id, first=span[0], last=span[1], dry_run=request.dry_run
        )
        return rerun(service, caller, wanted).count

    return _each(service, caller, request, change, tries=True)


def _each(
    service: Service,
    caller: Caller,
    request: BulkPipelines,
    change: _Change,
    *,
    tries: bool = False,
) -> Outcomes:
    """Change each pipeline that is meant; one that cannot be does not keep the others from it.

    `tries`: the change itself knows of dry runs.
    """
    outcomes = []
    meant, left = _meant(service, caller, request)
    for row in meant:
        count, told = None, None
        if tries or not request.dry_run:
            try:
                count = change(row)
            except (ServiceFault, TaskrunnerError) as error:
                told = str(error)
        outcomes.append(
            Outcome(pipeline_id=row.pipeline_id, name=row.name, count=count, error=told)
        )
    return Outcomes(
        dry_run=request.dry_run,
        pipelines=tuple(outcomes),
        left=left,
        marker=to_marker(*_place(meant[-1])) if left else None,
    )


def _meant(
    service: Service, caller: Caller, request: BulkPipelines
) -> tuple[Sequence[PipelineRow], int]:
    """The pipelines, or a portion of them; and how many are left.

    A portion is told from the next by its place in the order of names: what a change does to the
    filters themselves leaves none out, and brings none twice.
    """
    filters = OfPipelines(
        name=request.name,
        state=request.state,
        health=request.health,
        tag=request.tag,
        group=request.group,
        late=request.late,
    )
    if request.ids:
        if filters != OfPipelines() or request.every or request.limit or request.marker:
            raise InvalidRequest("wanted ids, or filters with limit and marker, not both")
        return [service.pipeline(key, caller) for key in dict.fromkeys(request.ids)], 0
    if (filters == OfPipelines()) is not request.every:
        raise InvalidRequest(
            "say which pipelines: ids, or one of name, state, health, tag, group and late, or every"
        )
    rows: Sequence[PipelineRow] = chosen_pipelines(service, caller, filters)
    if request.marker:
        place = tuple(from_marker(request.marker, str, str))
        rows = [row for row in rows if _place(row) > place]
    meant = rows[: request.limit]
    return meant, len(rows) - len(meant)


def _place(row: PipelineRow) -> tuple[str, str]:
    return row.name, row.pipeline_id
