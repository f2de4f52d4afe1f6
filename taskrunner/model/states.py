"""The states of pipelines, instances and attempts, and which may follow which.

Names are the service's own. The store repeats the guard of `advance` in its WHERE clauses, so that
two writers can never both win.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class PipelineState(StrEnum):
    """The field @pipelineState."""

    PENDING = "PENDING"  # defined, not yet activated
    SCHEDULED = "SCHEDULED"  # active: instances are made as their time comes
    FINISHED = "FINISHED"  # every schedule has ended and every instance is at its end
    DEACTIVATING = "DEACTIVATING"  # no new instances; running ones finish
    INACTIVE = "INACTIVE"  # deactivated


class InstanceStatus(StrEnum):
    """The field @status of an instance."""

    WAITING_ON_DEPENDENCIES = "WAITING_ON_DEPENDENCIES"
    WAITING_FOR_RUNNER = "WAITING_FOR_RUNNER"  # an attempt is in the worker group's queue
    CREATING = "CREATING"  # a resource is needed, and not launched yet
    ACTIVATING = "ACTIVATING"  # it was launched, and its runner has not asked for work yet
    RUNNING = "RUNNING"
    SHUTTING_DOWN = "SHUTTING_DOWN"  # a resource is being terminated
    PAUSED = "PAUSED"  # not begun, or not tried again, until somebody resumes it
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    TIMEDOUT = "TIMEDOUT"  # a resource, and only a resource, that terminateAfter has ended
    CANCELED = "CANCELED"
    CASCADE_FAILED = "CASCADE_FAILED"
    SKIPPED = "SKIPPED"


class AttemptStatus(StrEnum):
    """The field @status of an attempt."""

    WAITING_FOR_RUNNER = "WAITING_FOR_RUNNER"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    TIMEDOUT = "TIMEDOUT"  # in older stores only: past attemptTimeout, which is FAILED now
    CANCELED = "CANCELED"


class AlarmStatus(StrEnum):
    """What became of an alarm."""

    PENDING = "PENDING"  # to be published, or to be tried again
    SENT = "SENT"  # its topic has taken it
    LOGGED = "LOGGED"  # nobody got it: it stands in the service's log and in the store
    FAILED = "FAILED"  # its topic has not taken it, and it was given up


_I = InstanceStatus
_A = AttemptStatus

INSTANCE_TERMINAL = frozenset(
    {_I.FINISHED, _I.FAILED, _I.TIMEDOUT, _I.CANCELED, _I.CASCADE_FAILED, _I.SKIPPED}
)
INSTANCE_LIVE = frozenset(_I) - INSTANCE_TERMINAL
#: A resource on its way to RUNNING.
STARTING = frozenset({_I.CREATING, _I.ACTIVATING})
INSTANCE_FAILED = frozenset({_I.FAILED, _I.TIMEDOUT, _I.CANCELED, _I.CASCADE_FAILED})
ATTEMPT_TERMINAL = frozenset({_A.FINISHED, _A.FAILED, _A.TIMEDOUT, _A.CANCELED})
_ATTEMPT_ENDS = ATTEMPT_TERMINAL - {_A.TIMEDOUT}

_ENDS_EARLY = frozenset({_I.CANCELED, _I.FINISHED, _I.FAILED})

#: The guide's status page says of TIMEDOUT: "This status applies only to resources"; those are
#: launched, and so never WAITING_FOR_RUNNER.
INSTANCE_TRANSITIONS: Mapping[InstanceStatus, frozenset[InstanceStatus]] = {
    _I.WAITING_ON_DEPENDENCIES: _ENDS_EARLY
    | {_I.WAITING_FOR_RUNNER, _I.CREATING, _I.PAUSED, _I.CASCADE_FAILED, _I.SKIPPED},
    _I.WAITING_FOR_RUNNER: _ENDS_EARLY | {_I.RUNNING, _I.PAUSED, _I.CASCADE_FAILED},
    _I.CREATING: _ENDS_EARLY
    | {_I.ACTIVATING, _I.RUNNING, _I.SHUTTING_DOWN, _I.WAITING_ON_DEPENDENCIES},
    # The guide: "The component or resource is being started, such as an EC2 instance".
    _I.ACTIVATING: _ENDS_EARLY | {_I.CREATING, _I.RUNNING, _I.SHUTTING_DOWN},
    # A resource whose runner was lost is launched again, and so is one wanted again by a rerun.
    # An activity is paused when its attempt has ended and another one is left.
    _I.RUNNING: _ENDS_EARLY | {_I.WAITING_FOR_RUNNER, _I.CREATING, _I.SHUTTING_DOWN, _I.PAUSED},
    _I.SHUTTING_DOWN: _ENDS_EARLY | {_I.WAITING_ON_DEPENDENCIES, _I.TIMEDOUT},
    # What resumes is decided about as if it had never begun to wait.
    _I.PAUSED: _ENDS_EARLY | {_I.WAITING_ON_DEPENDENCIES},
    # A rerun (SetStatus RERUN) is the only way out of an end, and it goes to the beginning.
    **{terminal: frozenset({_I.WAITING_ON_DEPENDENCIES}) for terminal in INSTANCE_TERMINAL},
}

ATTEMPT_TRANSITIONS: Mapping[AttemptStatus, frozenset[AttemptStatus]] = {
    _A.WAITING_FOR_RUNNER: frozenset({_A.RUNNING}) | _ATTEMPT_ENDS,
    _A.RUNNING: _ATTEMPT_ENDS | {_A.WAITING_FOR_RUNNER},  # back when its lease ran out
    **{terminal: frozenset[AttemptStatus]() for terminal in ATTEMPT_TERMINAL},
}


class IllegalTransition(ValueError):
    """A change of state that the table of transitions does not allow."""


def advance(
    current: InstanceStatus | AttemptStatus, to: InstanceStatus | AttemptStatus
) -> InstanceStatus | AttemptStatus:
    """Return `to` when the table of `current`'s machine allows it.

    Raises IllegalTransition otherwise, and when the two are of different machines.
    """
    allowed: frozenset[InstanceStatus] | frozenset[AttemptStatus]
    if isinstance(current, InstanceStatus):
        allowed = INSTANCE_TRANSITIONS[current]
    else:
        allowed = ATTEMPT_TRANSITIONS[current]
    if type(to) is not type(current) or to not in allowed:
        raise IllegalTransition(f"{current} cannot become {to}")
    return to
