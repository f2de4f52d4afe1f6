"""Decides what happens next to one instance: a pure function from its state to decisions.

The service loads a `View`, calls `decide`, and applies the decisions in the same transaction. Asked
again without anything having changed, `decide` says nothing new, so it may be called after any
interruption.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from taskrunner.errors import ErrorId
from taskrunner.model.decisions import (
    ACTIVE,
    Announce,
    AwaitPlace,
    Become,
    Decision,
    DependencyView,
    EndAttempt,
    Event,
    LookAgain,
    Notify,
    Queue,
    Requeue,
    StartAttempt,
    View,
    Withhold,
)
from taskrunner.model.instances import Category, DependencyKind
from taskrunner.model.resource_planner import decide_about_resource
from taskrunner.model.rows import AttemptRow
from taskrunner.model.shared_decisions import (
    SUCCEED,
    cancel,
    end_with_pipeline,
    fail,
    no_place,
    pause_or_resume,
    stands_still,
)
from taskrunner.model.states import (
    ATTEMPT_TERMINAL,
    INSTANCE_FAILED,
    INSTANCE_TERMINAL,
    AttemptStatus,
    InstanceStatus,
)

#: Errors that another attempt would meet again, because the definition itself is at fault.
PERMANENT = frozenset(
    {
        ErrorId.INVALID_FIELD,
        ErrorId.NOT_ALLOWED,
        ErrorId.PRECONDITION_TIMEOUT,
        ErrorId.UNSUPPORTED_TYPE,
    }
)

#: A runner vanished or lost its contact, which may or may not be the task's doing.
LOST_RUNNER = frozenset({ErrorId.STALLED, ErrorId.LEASE_LOST})
#: How often a runner may vanish under an instance before that is held against the instance.
MOST_STALLS = 10


def decide(view: View, now: datetime) -> list[Decision]:
    """The decisions about one instance at this moment; none for an instance at its end."""
    if view.instance.status in INSTANCE_TERMINAL:
        return []
    return [*_lateness(view, now), *_BY_CATEGORY[Category(view.instance.category)](view, now)]


def _lateness(view: View, now: datetime) -> list[Decision]:
    after, row = view.policy.late_after, view.instance
    if after is None or row.late_fired:
        return []
    # A backfilled period is late by its own run, not by the years that it lies back.
    late_at = max(row.not_before, row.created_at) + after
    return [Notify(Event.LATE)] if now >= late_at else [LookAgain(late_at)]


def _runnable(view: View, now: datetime) -> list[Decision]:
    if view.node in INSTANCE_TERMINAL:
        # Nobody waits for the answer any more; without this it would be asked for ever.
        return cancel(view, f"{view.instance.node_id} ended as {view.node}")
    if view.deactivating and not _is_held(view):
        return end_with_pipeline(view)
    if view.instance.status in ACTIVE:
        return _attempting(view, now)
    if stands_still(view):
        return pause_or_resume(view, now)
    held_back = _held_back(view, now)
    return _begin(view, now) if held_back is None else held_back


def _is_held(view: View) -> bool:
    """Whether a runner has it, or has said how it ended."""
    head = view.head
    if view.instance.status not in ACTIVE or head is None:
        return False
    return head.queue == Queue.OUT or head.status in ATTEMPT_TERMINAL


def _data_node(view: View, now: datetime) -> list[Decision]:
    if view.deactivating:
        return end_with_pipeline(view)
    if stands_still(view):
        return pause_or_resume(view, now)
    held_back = _held_back(view, now)
    return SUCCEED if held_back is None else held_back


def _held_back(view: View, now: datetime) -> list[Decision] | None:
    """The decisions while a waiting instance may not begin; None when it may."""
    row = view.instance
    if now < row.not_before:
        return [LookAgain(row.not_before)]
    if view.run_waits:
        return []
    failed = next((d for d in view.dependencies if _is_lost(d)), None)
    if failed is not None:
        return _dependency_failed(view, failed)
    unmet = any(
        d.status is not InstanceStatus.FINISHED
        for d in view.dependencies
        if d.kind is not DependencyKind.RESOURCE
    )
    if unmet:
        return []
    return [AwaitPlace()] if no_place(view) else None


def _is_lost(dependency: DependencyView) -> bool:
    """Whether a dependency has failed; a resource counts as failed once it has ended at all."""
    if dependency.kind is DependencyKind.RESOURCE:
        return dependency.status in INSTANCE_TERMINAL
    return dependency.status in INSTANCE_FAILED


def _dependency_failed(view: View, failed: DependencyView) -> list[Decision]:
    """Fail too if failureAndRerunMode is `cascade`; else go on waiting, as AWS does."""
    if failed.kind is DependencyKind.RESOURCE:
        return _resource_failed(failed)
    if not view.policy.cascade:
        return []
    message = f"{failed.instance_id} is {failed.status}"
    of_node = view.instance.category == Category.PRECONDITION
    status = InstanceStatus.CANCELED if of_node else InstanceStatus.CASCADE_FAILED
    return [
        Become(status=status, error_message=message, cause=failed.instance_id),
        Notify(Event.FAIL),
    ]


def _resource_failed(resource: DependencyView) -> list[Decision]:
    message = f"the resource {resource.instance_id} ended as {resource.status}"
    become = Become(
        status=InstanceStatus.CANCELED,
        error_id=ErrorId.RESOURCE_FAILED,
        error_message=message,
        cause=resource.instance_id,
    )
    return [become, Notify(Event.FAIL)]


def _begin(view: View, now: datetime) -> list[Decision]:
    if not view.instance.worker_group:
        message = "neither runsOn nor workerGroup says where this is to run"
        return fail(InstanceStatus.FAILED, ErrorId.INVALID_FIELD, message)
    become = Become(status=InstanceStatus.WAITING_FOR_RUNNER)
    head = view.head
    if head is not None and head.queue == Queue.HELD:
        return [*_out_of_hold(head, now), become]
    if head is not None and head.status not in ATTEMPT_TERMINAL:
        return [become, Announce()]
    return [StartAttempt(number=view.instance.attempt_count + 1, ready_at=now), become]


def _out_of_hold(head: AttemptRow, now: datetime) -> list[Decision]:
    ready_at = max(now, head.ready_at)
    return [Requeue(ready_at), Announce() if ready_at == now else LookAgain(ready_at)]


def _attempting(view: View, now: datetime) -> list[Decision]:
    head = view.head
    if head is None:
        # Only a store that lost an attempt's row can get here; begin afresh rather than hang.
        return [StartAttempt(number=view.instance.attempt_count + 1, ready_at=now)]
    if head.status in ATTEMPT_TERMINAL:
        return _after(view, head, now)
    resources = (d for d in view.dependencies if d.kind is DependencyKind.RESOURCE)
    lost = next((d for d in resources if _is_lost(d)), None)
    if lost is not None:
        return [EndAttempt(status=AttemptStatus.CANCELED), *_resource_failed(lost)]
    deadline = _precondition_deadline(view, head)
    if deadline is None:
        return _in_queue(view, head, now)
    if now < deadline:
        return [LookAgain(deadline), *_in_queue(view, head, now)]
    ended = replace(head, status=AttemptStatus.FAILED, error_id=ErrorId.PRECONDITION_TIMEOUT)
    return _over(view, replace(ended, error_message=_did_not_hold(view, head)), now)


def _did_not_hold(view: View, head: AttemptRow) -> str:
    row, timeout = view.instance, view.policy.precondition_timeout or timedelta()
    limit = f"preconditionTimeout ({timeout.total_seconds():.0f} s)"
    # What the runner said of its last look, if it said anything.
    seen = f"; at the last look: {head.error_message}" if head.error_message else ""
    return f"{row.type} {row.component_id!r} did not hold within {limit}{seen}"


def _precondition_deadline(view: View, head: AttemptRow) -> datetime | None:
    timeout, row = view.policy.precondition_timeout, view.instance
    if timeout is None or row.category != Category.PRECONDITION:
        return None
    # Counted from its own beginning: it may have had to wait for what it looks at, or be paused.
    return (row.actual_start or head.ready_at) + timeout


def _in_queue(view: View, head: AttemptRow, now: datetime) -> list[Decision]:
    if head.queue in {Queue.READY, Queue.HELD}:
        return _ready(view, head, now)
    if head.queue == Queue.FALSE:
        again = now + view.policy.recheck_delay
        return [Requeue(again), *_waits_for_runner(view), LookAgain(again)]
    deadline = _deadline(head)
    if deadline is not None and now >= deadline:
        message = f"the attempt did not end within attemptTimeout ({head.timeout_s:.0f} s)"
        ended = replace(head, status=AttemptStatus.FAILED, error_id=ErrorId.TIMEOUT)
        return _over(view, replace(ended, error_message=message), now)
    if head.report_by is not None and now >= head.report_by:
        return _silent(view, head, now)
    moments = [moment for moment in (head.report_by, deadline) if moment is not None]
    return [LookAgain(min(moments))] if moments else []


def _ready(view: View, head: AttemptRow, now: datetime) -> list[Decision]:
    """No runner has it; it waits for one, or for the end of a pause."""
    if view.paused:
        return _waits_for_runner(view)
    if head.queue == Queue.HELD:
        return _out_of_hold(head, now)  # resumed before anything was made of the pause
    if view.instance.status is InstanceStatus.RUNNING:
        return [*_waits_for_runner(view), LookAgain(head.ready_at)]
    return [Announce() if now >= head.ready_at else LookAgain(head.ready_at)]


def _deadline(head: AttemptRow) -> datetime | None:
    # A precondition that is asked again has begun before, but this hand-out has not: what it has
    # waited between two looks, up to its acknowledgement, is no time that an attempt has taken.
    begun = head.status is AttemptStatus.RUNNING
    if not begun or head.timeout_s is None or head.started_at is None:
        return None
    return head.started_at + timedelta(seconds=head.timeout_s)


def _silent(view: View, head: AttemptRow, now: datetime) -> list[Decision]:
    """No report came in time: queue an unacknowledged attempt again, end any other."""
    if head.status is AttemptStatus.WAITING_FOR_RUNNER and view.deactivating:
        return end_with_pipeline(view)
    if head.status is AttemptStatus.WAITING_FOR_RUNNER:
        return [Requeue(now), *_waits_for_runner(view)]
    message = f"the runner on {head.hostname or 'its host'} reported nothing for {head.lease_s:g} s"
    ended = replace(head, status=AttemptStatus.FAILED, error_id=ErrorId.STALLED)
    return _over(view, replace(ended, error_message=message), now)


def _over(view: View, ended: AttemptRow, now: datetime) -> list[Decision]:
    """End the live attempt as `ended` says, and go on from there."""
    end = EndAttempt(
        status=ended.status, error_id=ended.error_id, error_message=ended.error_message
    )
    return [end, *_after(view, ended, now)]


def _after(view: View, head: AttemptRow, now: datetime) -> list[Decision]:
    """An attempt has ended: success, another attempt, or the end of the instance."""
    if head.status is AttemptStatus.FINISHED:
        return SUCCEED
    if head.status is AttemptStatus.CANCELED:
        return [Become(status=InstanceStatus.CANCELED, error_message=head.error_message)]
    row, policy = view.instance, view.policy
    if _free_of_charge(view, head):
        return _again(view, now, charged=False)
    if row.failures < policy.maximum_retries and head.error_id not in PERMANENT:
        return _again(view, now + policy.retry_delay, charged=True)
    return fail(InstanceStatus.FAILED, head.error_id, head.error_message)


def _free_of_charge(view: View, head: AttemptRow) -> bool:
    """Whether the attempt ended through no fault of the task, so that it costs no retry."""
    if head.error_id == ErrorId.INTERRUPTED:
        return True
    # Runners may die under a task by chance; a task that kills each of them must come to an end.
    return head.error_id in LOST_RUNNER and view.stalls < MOST_STALLS


def _again(view: View, ready_at: datetime, *, charged: bool) -> list[Decision]:
    if view.deactivating:
        return end_with_pipeline(replace(view, head=None))  # the head has ended, or is about to
    number = view.instance.attempt_count + 1
    start = StartAttempt(number=number, ready_at=ready_at, charged=charged)
    return [start, *_waits_for_runner(view), LookAgain(ready_at)]


def _waits_for_runner(view: View) -> list[Decision]:
    """The attempt is in the queue, unless a pause keeps it out."""
    if view.paused:
        return [Withhold(), Become(status=InstanceStatus.PAUSED)]
    if view.instance.status is InstanceStatus.WAITING_FOR_RUNNER:
        return [Announce()]
    return [Become(status=InstanceStatus.WAITING_FOR_RUNNER)]


_BY_CATEGORY: Mapping[Category, Callable[[View, datetime], list[Decision]]] = {
    Category.ACTIVITY: _runnable,
    Category.PRECONDITION: _runnable,
    Category.DATANODE: _data_node,
    Category.RESOURCE: decide_about_resource,
}
