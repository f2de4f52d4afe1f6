"""Decisions that instances of several categories take the same way."""

from __future__ import annotations

from datetime import datetime

from taskrunner.model.decisions import Become, Decision, Event, LookAgain, Notify, View
from taskrunner.model.states import InstanceStatus

SUCCEED: list[Decision] = [Become(status=InstanceStatus.FINISHED), Notify(Event.SUCCESS)]


def fail(status: InstanceStatus, error_id: str | None, message: str | None) -> list[Decision]:
    """Come to a bad end."""
    become = Become(status=status, error_id=error_id, error_message=message)
    return [become, Notify(Event.FAIL)]


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
