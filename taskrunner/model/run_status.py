"""What is said of a whole run by the statuses of its instances: one word."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from taskrunner.model.states import INSTANCE_TERMINAL, STARTING, InstanceStatus

_I = InstanceStatus
_AT_WORK = frozenset({_I.RUNNING, _I.SHUTTING_DOWN, *STARTING})
_FAILED = frozenset({_I.FAILED, _I.TIMEDOUT, _I.CASCADE_FAILED})


class RunStatus(StrEnum):
    """How a run is: of all that is told of its instances, what matters most."""

    FAILED = "FAILED"  # something has failed; other parts may still go on
    RUNNING = "RUNNING"  # something runs
    WAITING = "WAITING"  # nothing runs: all that is left waits for something, or for a runner
    PAUSED = "PAUSED"  # nothing goes on until somebody resumes it
    CANCELED = "CANCELED"  # it is over, and somebody has ended some of it
    SKIPPED = "SKIPPED"  # nothing of it was to run
    FINISHED = "FINISHED"  # all of it has ended well


def run_status(counts: Mapping[InstanceStatus, int]) -> RunStatus:
    """The status of a run with so many instances in each status."""
    return _status(frozenset(filter(counts.get, counts)))


@lru_cache(maxsize=256)
def _status(there: frozenset[InstanceStatus]) -> RunStatus:
    live = there - INSTANCE_TERMINAL
    if there & _FAILED:
        return RunStatus.FAILED
    if live & _AT_WORK:
        return RunStatus.RUNNING
    if live:
        return RunStatus.PAUSED if live == {_I.PAUSED} else RunStatus.WAITING
    if _I.CANCELED in there:
        return RunStatus.CANCELED
    return RunStatus.SKIPPED if there == {_I.SKIPPED} else RunStatus.FINISHED
