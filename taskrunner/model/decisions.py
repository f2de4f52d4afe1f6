"""The planner's input (`View`) and its output, the decisions, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from taskrunner.model.instances import Category, DependencyKind
from taskrunner.model.policy import Policy
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import STARTING, AttemptStatus, InstanceStatus

#: Statuses in which an instance that is run counts against maxActiveInstances.
ACTIVE = frozenset({InstanceStatus.WAITING_FOR_RUNNER, InstanceStatus.RUNNING})
#: The same of a resource: as long as there is anything of it.
RESOURCE_ACTIVE = frozenset(STARTING | {InstanceStatus.RUNNING, InstanceStatus.SHUTTING_DOWN})


def active_statuses(category: str) -> frozenset[InstanceStatus]:
    """The statuses in which an instance of a category has a place under maxActiveInstances."""
    return RESOURCE_ACTIVE if category == Category.RESOURCE else ACTIVE


class Queue(StrEnum):
    """Where an attempt stands in its worker group's queue."""

    READY = "READY"
    OUT = "OUT"
    FALSE = "FALSE"  # a precondition was looked at and does not hold yet
    HELD = "HELD"  # its instance is paused: no runner is given it
    DONE = "DONE"


class Event(StrEnum):
    """What actions can be hung on: the fields onSuccess, onFail and onLateAction."""

    SUCCESS = "onSuccess"
    FAIL = "onFail"
    LATE = "onLateAction"


@dataclass(frozen=True, slots=True)
class DependencyView:
    """An instance that is waited for; no status: it has not been made yet."""

    instance_id: str
    kind: DependencyKind
    status: InstanceStatus | None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that a decision about one instance depends on."""

    instance: InstanceRow
    policy: Policy
    dependencies: tuple[DependencyView, ...] = ()
    head: AttemptRow | None = None
    #: How many attempts before the head lost their runner, since the instance last began.
    stalls: int = 0
    #: For a precondition: the instance that it is checked for.
    node: InstanceStatus | None = None
    #: On demand: the run is not to begin yet, others have every place.
    run_waits: bool = False
    #: Somebody has paused the instance, its component or its pipeline.
    paused: bool = False
    #: The pipeline is being deactivated: only what a runner has goes on.
    deactivating: bool = False
    #: Other instances of the component that have a place under maxActiveInstances.
    active_siblings: int = 0
    #: For a resource: the activity instances that run on it.
    users: tuple[InstanceStatus, ...] = ()
    #: For a resource: until when more of them may still be made.
    more_users_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Become:
    """The instance changes its status."""

    status: InstanceStatus
    error_id: str | None = None
    error_message: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """A new attempt enters the queue; `charged`: the one before counts as a failure."""

    number: int
    ready_at: datetime
    charged: bool = False


@dataclass(frozen=True, slots=True)
class Requeue:
    """The same attempt enters the queue again; its hand-out is superseded."""

    ready_at: datetime


@dataclass(frozen=True, slots=True)
class Withhold:
    """The attempt leaves the queue, to come back when its instance is resumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAttempt:
    """The service ends the live attempt; its hand-out is superseded."""

    status: AttemptStatus
    error_id: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    """The actions of this event are due."""

    event: Event


@dataclass(frozen=True, slots=True)
class AwaitPlace:
    """Only maxActiveInstances keeps it waiting: it is woken when a place becomes free."""


@dataclass(frozen=True, slots=True)
class Announce:
    """The attempt is ready: waiting polls of its group are to be woken."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Decide again at this moment, or earlier if something happens."""

    at: datetime


Decision = (
    Become
    | StartAttempt
    | Requeue
    | Withhold
    | EndAttempt
    | Notify
    | AwaitPlace
    | Announce
    | LookAgain
)
