"""What a CopyActivity says of bad rows and of its pace: fields of taskrunner's own."""

from __future__ import annotations

import math
from collections.abc import Callable

from taskrunner.activities.base import Context
from taskrunner.clock import Clock
from taskrunner.data.rejects import Budget, Rejects
from taskrunner.data.throttle import Throttle
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.task import TaskObject

#: How many rows may be bad where nobody says it.
_USUAL_BUDGET = 1000
_FILE = "rejected.jsonl"
_ONLY_TO_REJECT = ("rejectUri", "maxRejectedRows", "maxRejectedPercent")


def rejects_of(ctx: Context) -> Rejects | None:
    """What takes bad rows; None where the first one is an error. Raises PermanentTaskError."""
    activity = ctx.task.main
    policy = (activity.get("onBadRow") or "fail").strip().lower()
    if policy not in {"fail", "reject"}:
        raise _invalid(activity, "onBadRow", f"found {policy!r}, wanted fail or reject")
    if policy == "fail":
        for key in _ONLY_TO_REJECT:
            if activity.get(key) is not None:
                raise _invalid(activity, key, "it needs onBadRow reject: the first bad row fails")
        return None
    rows = _number(activity, "maxRejectedRows", lambda n: n >= 0 and n == int(n))
    percent = _number(activity, "maxRejectedPercent", lambda n: 0 <= n <= 100)
    if rows is None and percent is None:
        rows = _USUAL_BUDGET
    uri = activity.get("rejectUri")
    if uri is None:
        if ctx.data.instance_uri is None:
            problem = "wanted where bad rows go, since there is no pipelineLogUri for them"
            raise _invalid(activity, "rejectUri", problem)
        uri = f"{ctx.data.instance_uri}/{_FILE}"
    if uri.endswith("/"):
        raise _invalid(activity, "rejectUri", f"found the folder {uri!r}, wanted a file")
    budget = Budget(rows=None if rows is None else int(rows), percent=percent)
    return Rejects(ctx.objects, uri, budget)


def throttle_of(ctx: Context, clock: Clock) -> Throttle | None:
    """What holds the copy back; None where nothing does. Raises PermanentTaskError."""
    rows = _number(ctx.task.main, "maxRowsPerSecond", lambda n: n > 0)
    size = _number(ctx.task.main, "maxBytesPerSecond", lambda n: n > 0)
    if rows is None and size is None:
        return None
    return Throttle(rows=rows, size=size, clock=clock, check=ctx.check_canceled)


def _number(activity: TaskObject, key: str, is_usable: Callable[[float], bool]) -> float | None:
    text = activity.get(key)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or not is_usable(number):
        raise _invalid(activity, key, f"found {text!r}, which is no such number")
    return number


def _invalid(activity: TaskObject, key: str, problem: str) -> PermanentTaskError:
    message = f"{activity.type} {activity.component_id!r}, field {key!r}: {problem}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
