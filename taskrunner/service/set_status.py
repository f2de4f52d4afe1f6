"""SetStatus: changing instances by hand, and pausing what runs.

The API reference: "For components, use PAUSE or RESUME. For instances, use TRY_CANCEL, RERUN, or
MARK_FINISHED." Here CANCEL is TRY_CANCEL, and instances and pipelines can be paused as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from taskrunner.errors import InvalidRequest
from taskrunner.model.decisions import Become, Decision, EndAttempt, View
from taskrunner.model.instances import Category
from taskrunner.model.rows import InstanceRow
from taskrunner.model.shared_decisions import cancel
from taskrunner.model.states import (
    ATTEMPT_TERMINAL,
    INSTANCE_TERMINAL,
    AttemptStatus,
    InstanceStatus,
    PipelineState,
)
from taskrunner.service.advance import ActiveCounts, build_views, finish_pipelines
from taskrunner.service.apply import SchedulingTransaction, apply
from taskrunner.service.callers import Caller
from taskrunner.service.definitions import Load, LoadedDefinition
from taskrunner.service.pauses import PAUSE, RESUME, pause, resume
from taskrunner.service.rerun import in_portions, rerun
from taskrunner.service.runs import forget_ended
from taskrunner.service.store import audit
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store import retention as retention_store
from taskrunner.service.store.rows import PipelineRow


def set_status(
    transaction: SchedulingTransaction,
    pipeline: PipelineRow,
    object_ids: Sequence[str],
    status: str,
    load: Load,
    caller: Caller,
) -> None:
    """Carry out SetStatus, with all of these objects or none. Raises InvalidRequest."""
    wanted = status.upper()  # the API's own example has it in small letters
    if wanted not in _WORDS:
        raise InvalidRequest(f"status {status!r} cannot be set: wanted {', '.join(sorted(_WORDS))}")
    audit.note(transaction.conn, pipeline.pipeline_id, objects=object_ids, after=wanted)
    version = pipeline.active_version or pipeline.latest_version
    loaded = load(pipeline.pipeline_id, version) if version else None
    if wanted == PAUSE:
        pause(transaction, pipeline, object_ids, loaded, caller)
    elif wanted == RESUME:
        resume(transaction, pipeline, object_ids, loaded)
    else:
        rows = _instances(transaction, pipeline, object_ids, wanted, loaded)
        _change(transaction, pipeline, rows, wanted, load)


def _instances(
    transaction: SchedulingTransaction,
    pipeline: PipelineRow,
    object_ids: Sequence[str],
    wanted: str,
    loaded: LoadedDefinition | None,
) -> list[InstanceRow]:
    """The instances with these ids, held until the transaction ends."""
    pipeline_id = pipeline.pipeline_id
    rows = [
        row
        for some in in_portions(object_ids)
        for row in instance_store.load_instances(transaction.conn, pipeline_id, some, lock=True)
    ]
    missing = set(object_ids) - {row.instance_id for row in rows}
    if missing:
        first = min(missing)
        if loaded is not None and first in loaded.objects:
            raise InvalidRequest(
                f"{first!r} is a component: {wanted} is for instances, {PAUSE} and {RESUME} for "
                "components"
            )
        raise InvalidRequest(f"no instance {first!r} in {pipeline_id}")
    return rows


def _change(
    transaction: SchedulingTransaction,
    pipeline: PipelineRow,
    rows: Sequence[InstanceRow],
    wanted: str,
    load: Load,
) -> None:
    if wanted == "RERUN":
        begin_again(transaction, pipeline, rows)
        return
    if pipeline.state is PipelineState.FINISHED and wanted != "MARK_FINISHED":
        raise InvalidRequest(
            f"pipeline {pipeline.pipeline_id} has finished: nothing of it is left to be canceled"
        )
    counts = ActiveCounts(transaction.conn, rows)
    for loaded, view in build_views(transaction, pipeline.pipeline_id, rows, load, counts):
        apply(transaction, loaded, view, _DECISIONS[wanted](view))
    transaction.wake_up(pipeline.pipeline_id)
    finish_pipelines(transaction.conn, transaction.ended, load, transaction.now)


def begin_again(
    transaction: SchedulingTransaction,
    pipeline: PipelineRow,
    rows: Sequence[InstanceRow],
    *,
    by_hand: bool = True,
) -> list[InstanceRow]:
    """Carry out RERUN; returns all that begin again, as they were. Raises InvalidRequest.

    `by_hand`: they take no place under maxActiveInstances.
    """
    _check_ended(rows)
    set_going(transaction, pipeline)
    forget_ended(transaction.conn, pipeline.pipeline_id)
    begun = rerun(transaction, pipeline.pipeline_id, rows, by_hand=by_hand)
    _check_secrets(transaction, begun)
    return begun


def set_going(transaction: SchedulingTransaction, pipeline: PipelineRow) -> None:
    """Have a finished pipeline work again, until what is rerun has ended.

    AWS refuses every SetStatus on a finished pipeline; there one had to make another.
    """
    if pipeline.state is PipelineState.DEACTIVATING:
        raise InvalidRequest(
            f"pipeline {pipeline.pipeline_id} is being deactivated, and begins nothing: RERUN once "
            "it is INACTIVE, or after ActivatePipeline"
        )
    if pipeline.state is PipelineState.FINISHED:
        pipeline_store.update_pipeline(
            transaction.conn, pipeline.pipeline_id, state=PipelineState.SCHEDULED
        )


def _check_ended(rows: Sequence[InstanceRow]) -> None:
    for row in rows:
        if row.status not in INSTANCE_TERMINAL:
            raise InvalidRequest(f"{row.instance_id} is {row.status}: not ended yet")


def _check_secrets(transaction: SchedulingTransaction, rows: Sequence[InstanceRow]) -> None:
    """Refuse to run with masks in place of secrets: what was begun is undone."""
    for pipeline_id in {row.pipeline_id for row in rows}:
        versions = {row.version for row in rows if row.pipeline_id == pipeline_id}
        gone = retention_store.without_secrets(transaction.conn, pipeline_id, versions)
        late = next((row for row in rows if row.version in gone), None)
        if late is not None:
            raise InvalidRequest(
                f"{late.instance_id} was made from version {late.version} of the definition, which "
                "was replaced so long ago that its secrets are not kept any more: it cannot be "
                "run again"
            )


def _mark_finished(view: View) -> list[Decision]:
    status, finished = view.instance.status, Become(status=InstanceStatus.FINISHED)
    if status is InstanceStatus.FINISHED:
        return []
    if status in INSTANCE_TERMINAL:
        # Out of an end leads only the way through the beginning.
        return [Become(status=InstanceStatus.WAITING_ON_DEPENDENCIES), finished]
    if view.instance.category == Category.RESOURCE:
        return _cancel(view)  # what was launched must be ended first
    end: list[Decision] = []
    if view.head is not None and view.head.status not in ATTEMPT_TERMINAL:
        end = [EndAttempt(status=AttemptStatus.CANCELED, error_message="marked as finished")]
    return [*end, finished]


def _cancel(view: View) -> list[Decision]:
    return cancel(view, "canceled by SetStatus")


_DECISIONS: Mapping[str, Callable[[View], list[Decision]]] = {
    "CANCEL": _cancel,
    "TRY_CANCEL": _cancel,
    "MARK_FINISHED": _mark_finished,
}
_WORDS = {*_DECISIONS, "RERUN", PAUSE, RESUME}
