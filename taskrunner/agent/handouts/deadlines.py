"""How long an attempt may take, and how long its agent may be unable to report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.period import Period
from taskrunner.model.task import Task
from taskrunner.secret import HIDDEN, Secret

#: An agent that cannot report ends its own work in good time before the lease does.
_PART_OF_LEASE = 0.8
#: Three reports may get lost before that.
_PART_OF_INTERVAL = 0.2
#: A century, as good as no limit: what is added to longer times may be more than clocks hold.
_LONGEST_S = 100 * 366 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Deadlines of one attempt, in seconds."""

    #: attemptTimeout or the agent's own task_time; None: as long as it takes.
    timeout_s: float | None
    #: Which of the two it is.
    timeout_text: str
    #: Without an answer for so long, the work must end: the lease is about to.
    silence_s: float
    #: How long it may then take to end: half of what is left of the lease.
    lost_grace_s: float

    @classmethod
    def of(
        cls, task: Task, *, lease_s: float, now: datetime, longest_s: float | None = None
    ) -> Deadlines:
        """Read attemptTimeout and reportProgressTimeout; raises PermanentTaskError.

        No attempt may take longer than `longest_s`.
        """
        lease = _seconds(task, "reportProgressTimeout", now) or lease_s
        timeout_s = _seconds(task, "attemptTimeout", now)
        given = task.main.get("attemptTimeout")
        text = f"its attemptTimeout of {HIDDEN if isinstance(given, Secret) else given}"
        if longest_s is not None and (timeout_s is None or timeout_s > longest_s):
            timeout_s, text = longest_s, f"the {longest_s:g} seconds of this agent's task_time"
        return cls(
            timeout_s=timeout_s,
            timeout_text=text,
            silence_s=lease * _PART_OF_LEASE,
            lost_grace_s=lease * (1 - _PART_OF_LEASE) / 2,
        )


def report_every(task: Task, *, usual_s: float, lease_s: float, now: datetime) -> float:
    """Seconds between two reports: as usual, or what a short lease asks for."""
    try:
        lease = _seconds(task, "reportProgressTimeout", now) or lease_s
    except PermanentTaskError:
        return usual_s  # found, and told, when the work begins
    return min(usual_s, lease * _PART_OF_INTERVAL)


def _seconds(task: Task, field: str, now: datetime) -> float | None:
    text = task.main.get(field)
    if text is None:
        return None
    try:
        seconds = Period.parse(text).timedelta_from(now).total_seconds()
    except (ValueError, OverflowError) as error:
        message = f"{task.main.type} {task.component_id!r}, field {field!r}: {error}"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD) from error
    return min(seconds, _LONGEST_S)
