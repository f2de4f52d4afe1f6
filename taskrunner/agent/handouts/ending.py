"""Why and how an attempt ended, and the verdict that follows from both."""

from __future__ import annotations

from enum import Enum, auto
from pathlib import Path

from taskrunner.agent.handouts.deadlines import Deadlines
from taskrunner.agent.handouts.reporter import Reporter
from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.untrusted import read_object
from taskrunner.agent.ipc.verdicts import Exit
from taskrunner.errors import ErrorId
from taskrunner.wire.api import Verdict

#: What an attempt's process may say of its end.
_RESULTS = ("FINISHED", "FALSE", "FAILED", "CANCELED")


class End(Enum):
    """Why the agent ends an attempt's process."""

    CANCELED = auto()  # the service said so: no verdict
    SUPERSEDED = auto()  # the hand-out is not ours any more: no verdict, no logs
    TIMEOUT = auto()
    LEASE_LOST = auto()
    INTERRUPTED = auto()  # the agent stops


def why_end(
    reporter: Reporter, *, limits: Deadlines, elapsed_s: float, now: float, canceling: bool
) -> End | None:
    """The first reason to end the process, if there is one."""
    reasons = {
        End.CANCELED: reporter.canceled,
        End.SUPERSEDED: reporter.superseded,
        End.INTERRUPTED: canceling,
        End.TIMEOUT: limits.timeout_s is not None and elapsed_s >= limits.timeout_s,
        End.LEASE_LOST: now - reporter.answered_at >= limits.silence_s,
    }
    return next((end for end, holds in reasons.items() if holds), None)


def cut_short(end: End, limits: Deadlines) -> Verdict | None:
    """The verdict on work that was ended, or not begun, for a reason; None: nothing is told."""
    return {
        End.TIMEOUT: verdicts.timed_out(limits.timeout_text),
        End.LEASE_LOST: verdicts.LEASE_LOST,
        End.INTERRUPTED: verdicts.INTERRUPTED,
    }.get(end)


def judge(
    end: End | None, ended: Exit, result: Verdict | None, limits: Deadlines
) -> Verdict | None:
    """The verdict to send, from why and how the process ended and what it left behind."""
    if end in {End.CANCELED, End.SUPERSEDED}:
        return None
    if result is not None and result.status in {"FINISHED", "FALSE"}:
        return result  # it was done before the end reached it
    if end is not None:
        return cut_short(end, limits)
    if result is not None and result.status == "CANCELED":
        message = "something other than the agent told the attempt to stop (SIGTERM)"
        return verdicts.failed(ErrorId.KILLED_BY_SIGNAL, message)
    return result or verdicts.crashed(ended)


def read_result(path: Path) -> Verdict | None:
    """What the attempt's process left as its result."""
    found = read_object(path)
    return verdicts.from_json(found) if found.get("status") in _RESULTS else None
