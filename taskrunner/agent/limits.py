"""How long an attempt may take, and how long its agent may be unable to report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.period import Period
from taskrunner.model.task import Task

__all__ = ["Limits"]

#: An agent that cannot report ends its own work in good time before the lease does.
_PART_OF_LEASE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one attempt, in seconds."""

    #: attemptTimeout; None: as long as it takes.
    timeout_s: float | None
    timeout_text: str
    #: Without an answer for so long, the work must end: the lease is about to.
    silence_s: float

    @classmethod
    def of(cls, task: Task, *, lease_s: float, now: datetime) -> Limits:
        """Read attemptTimeout and reportProgressTimeout; raises PermanentTaskError."""
        lease = _seconds(task, "reportProgressTimeout", now)
        return cls(
            timeout_s=_seconds(task, "attemptTimeout", now),
            timeout_text=task.main.get("attemptTimeout") or "",
            silence_s=(lease or lease_s) * _PART_OF_LEASE,
        )


def _seconds(task: Task, field: str, now: datetime) -> float | None:
    text = task.main.get(field)
    if text is None:
        return None
    try:
        return Period.parse(text).timedelta_from(now).total_seconds()
    except (ValueError, OverflowError) as error:
        message = f"{task.main.type} {task.component_id!r}, field {field!r}: {error}"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD) from error
