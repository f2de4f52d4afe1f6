"""Decisions that instances of several categories take the same way."""

from __future__ import annotations

from datetime import datetime

from taskrunner.errors import ErrorId
from taskrunner.model.decisions import (
    Become,
    Decision,
    EndAttempt,
    Event,
    LookAgain,
    Notify,
    View,
)
from taskrunner.model.instances import Category
from taskrunner.model.states import (
    ATTEMPT_TERMINAL,
    INSTANCE_TERMINAL,
    STARTING,
    AttemptStatus,
    InstanceStatus,
)

SUCCEED: list[Decision] = [Become(status=InstanceStatus.FINISHED), Notify(Event.SUCCESS)]


def fail(status: InstanceStatus, error_id: str | None, message: str | None) -> list[Decision]:
    """Come to a bad end."""
    become = Become(status=status, error_id=error_id, error_message=message)
    return [become, Notify(Event.FAIL)]


def cancel(view: View, message: str, *, error_id: str | None = None) -> list[Decision]:
    """The decisions that cancel an instance, with its live attempt; a resource is shut down."""
    status = view.instance.status
    if status in INSTANCE_TERMINAL or status is InstanceStatus.SHUTTING_DOWN:
        return []
    is_resource = view.instance.category == Category.RESOURCE
    if is_resource and (status in STARTING or status is InstanceStatus.RUNNING):
        return [Become(status=InstanceStatus.SHUTTING_DOWN, error_message=message)]
    end: list[Decision] = []
    if view.head is not None and view.head.status not in ATTEMPT_TERMINAL:
        end = [EndAttempt(status=AttemptStatus.CANCELED, error_message=message)]
    become = Become(status=InstanceStatus.CANCELED, error_id=error_id, error_message=message)
    return [*end, become]


def end_with_pipeline(view: View) -> list[Decision]:
    """Cancel what ends because its pipeline is deactivated; an activation takes it up again."""
    return cancel(view, "the pipeline was deactivated", error_id=ErrorId.DEACTIVATED)


def no_place(view: View) -> bool:
    """Whether as many others of its component are active as may be.

    The guide: "The maximum number of concurrent active instances of a component. Re-runs do not
    count toward the number of active instances."
    """
    limit = view.policy.max_active
    return limit is not None and not view.instance.reruns and view.active_siblings >= limit


def stands_still(view: View) -> bool:
    """Whether an instance that has not begun is paused, or is about to be or to resume."""
    return view.paused or view.instance.status is InstanceStatus.PAUSED


def pause_or_resume(view: View, now: datetime) -> list[Decision]:
    """Carry a pause to an instance that waits, or the end of one.

    The guide's status page: "The component was paused and is not currently performing its work".
    A runner that has begun goes on; only what nobody has begun, or has to begin again, waits.
    """
    if view.instance.status is not InstanceStatus.PAUSED:
        return [Become(status=InstanceStatus.PAUSED)]
    if view.paused:
        return []
    return [Become(status=InstanceStatus.WAITING_ON_DEPENDENCIES), LookAgain(now)]
