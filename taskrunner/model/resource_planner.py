"""Decides what happens next to a resource, which lives as long as the activities that run on it."""

from __future__ import annotations

from datetime import datetime

from taskrunner.errors import ErrorId
from taskrunner.model.decisions import (
    ACTIVE,
    AwaitPlace,
    Become,
    Decision,
    Event,
    LookAgain,
    Notify,
    View,
)
from taskrunner.model.rows import InstanceRow
from taskrunner.model.shared_decisions import (
    end_with_pipeline,
    fail,
    no_place,
    pause_or_resume,
    stands_still,
)
from taskrunner.model.states import INSTANCE_TERMINAL, STARTING, InstanceStatus


def decide_about_resource(view: View, now: datetime) -> list[Decision]:
    """The decisions about a resource that is not at its end."""
    status = view.instance.status
    if status is InstanceStatus.SHUTTING_DOWN:
        return _shut_down(view)
    if status in STARTING or status is InstanceStatus.RUNNING:
        return _launched(view, now)
    if view.deactivating:
        return end_with_pipeline(view)
    # One that nobody waits for any more ends, whether it was paused or not.
    if stands_still(view) and not (_users_done(view) and not _more_to_come(view, now)):
        return pause_or_resume(view, now)
    return [] if view.run_waits else _unlaunched(view, now)


def _shut_down(view: View) -> list[Decision]:
    row = view.instance
    # The provider clears the handle once nothing of the resource is left.
    if row.resource_handle is not None:
        return []
    if has_timed_out(row):
        return fail(InstanceStatus.TIMEDOUT, row.error_id, row.error_message)
    if _wanted_again(row):
        return [Become(status=InstanceStatus.WAITING_ON_DEPENDENCIES, error_message=None)]
    # Of one that was ended early it stays to be seen why.
    ended = Become(status=InstanceStatus.FINISHED, error_message=row.error_message)
    return [ended, Notify(Event.SUCCESS)]


def has_timed_out(row: InstanceRow) -> bool:
    """Whether terminateAfter is ending a resource: those who run on it do not wait for that."""
    ended = row.status is InstanceStatus.SHUTTING_DOWN and not _wanted_again(row)
    return ended and row.error_id == ErrorId.RESOURCE_TIMEOUT


def _wanted_again(row: InstanceRow) -> bool:
    # A rerun, asked for while the old one was on its way out, moved the beginning past its launch.
    return row.actual_start is not None and row.not_before > row.actual_start


def _unlaunched(view: View, now: datetime) -> list[Decision]:
    if any(user in ACTIVE for user in view.users):
        return [AwaitPlace()] if no_place(view) else [Become(status=InstanceStatus.CREATING)]
    if not _users_done(view):
        return []
    if _more_to_come(view, now):
        return [LookAgain(view.more_users_until)] if view.more_users_until else []
    return [Become(status=InstanceStatus.FINISHED)]


def _launched(view: View, now: datetime) -> list[Decision]:
    row, after = view.instance, view.policy.terminate_after
    ends_at = row.actual_start + after if row.actual_start and after else None
    if _users_done(view) and not _more_to_come(view, now):
        return [Become(status=InstanceStatus.SHUTTING_DOWN)]
    if ends_at is not None and now >= ends_at:
        message = f"terminateAfter ({after}) has passed"
        return _end_early(message, ErrorId.RESOURCE_TIMEOUT)
    if view.policy.terminate_on_task_failure and (InstanceStatus.FAILED in view.users):
        return _end_early("actionOnTaskFailure is terminate, and a task that ran on it has failed")
    moments = [m for m in (ends_at, view.more_users_until) if m is not None and m > now]
    return [LookAgain(min(moments))] if moments else []


def _end_early(message: str, error_id: str | None = None) -> list[Decision]:
    status = InstanceStatus.SHUTTING_DOWN
    return [Become(status=status, error_id=error_id, error_message=message)]


def _users_done(view: View) -> bool:
    return all(user in INSTANCE_TERMINAL for user in view.users)


def _more_to_come(view: View, now: datetime) -> bool:
    return view.more_users_until is not None and now < view.more_users_until
