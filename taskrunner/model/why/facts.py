"""What may be known of what waits. Everything but names and statuses may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from taskrunner.model.instances import Dependency
from taskrunner.model.policy import Policy
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import InstanceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Something that is paused."""

    object_id: str
    at: datetime | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Somebody who serves a worker group."""

    name: str
    #: When it last asked for the group's work, and when it was last heard of at all.
    polled_at: datetime | None
    seen_at: datetime
    slots: int | None = None
    busy: int | None = None
    #: Why it takes no work; empty: it takes it; None: not known.
    paused: str | None = None
    #: Tasks of the group that its host has at present.
    running: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A poll that was refused."""

    code: str
    message: str
    at: datetime
    #: Its host's name or address.
    whence: str
    key_id: str | None = None
    #: Whether it is known that it was for the group in question.
    for_group: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A worker group, as the service knows it."""

    name: str
    #: The account whose pipelines it serves; empty: the one that is meant without a word.
    account: str = ""
    #: Whether the service does its work itself: it checks preconditions.
    own: bool = False
    runners: tuple[Runner, ...] = ()
    #: Whether a runner of another account serves a group of the same name.
    elsewhere: bool = False
    #: The other groups for which polls were seen lately, each with a runner's name.
    others: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[Refusal, ...] = ()
    #: Tasks that have ended within the minutes before now.
    ended: int = 0
    minutes: int = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Places under maxActiveInstances, and who has them, the oldest first."""

    limit: int
    held_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An instance, with what decides about it."""

    row: InstanceRow
    policy: Policy = field(default_factory=Policy)
    #: What has not finished of what it waits for.
    unmet: tuple[Dependency, ...] = ()
    #: Of these, the ones that were never made.
    missing: frozenset[str] = frozenset()
    #: And what it has waited for.
    waited_for: tuple[str, ...] = ()
    #: Its attempts, the newest last.
    attempts: tuple[AttemptRow, ...] = ()
    #: How often runners took up its newest attempt, and when it was last.
    looks: tuple[int, datetime] | None = None
    pause: Pause | None = None
    #: Set where only maxActiveInstances holds it back.
    place: Place | None = None
    #: Starts of the runs on demand that go before its own, and what of the first has not ended.
    runs_before: tuple[datetime, ...] = ()
    left_of_run: tuple[str, ...] = ()
    #: Of a resource: who is to run on it and has not ended.
    users: tuple[str, ...] = ()
    #: Tasks of its worker group that wait for longer; None: not known.
    ahead: int | None = None
    #: Of a resource whose runner somebody else starts: whether a rule says so.
    awaited: bool | None = None

    @property
    def head(self) -> AttemptRow | None:
        """Its newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def is_looked_at(self) -> bool:
        """Whether it is a precondition that was asked, and is to be asked again."""
        return (
            self.looks is not None
            and self.row.status is not InstanceStatus.WAITING_ON_DEPENDENCIES
            and self.pause is None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A pipeline as a whole."""

    pipeline_id: str
    name: str = ""
    #: A PipelineState, or what else AWS says.
    state: str
    #: Versions of its definition: the latest, and the active one; 0: none.
    latest: int = 1
    active: int = 0
    #: What is wrong with the latest definition, by object; of a whole, by an empty text.
    mistakes: Mapping[str, str] = field(default_factory=dict)
    pause: Pause | None = None
    stopped_at: datetime | None = None
    next_run: datetime | None = None
    on_demand: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known at one moment."""

    now: datetime
    pipeline: Pipeline
    #: The instances in question, and those that hold them back, as far as they were looked at.
    instances: Mapping[str, Known] = field(default_factory=dict)
    #: By name; a group that is missing is one that the service tells nothing of.
    groups: Mapping[str, Group] = field(default_factory=dict)
    #: Whether nothing is left out that may hold an instance back: AWS's API does not tell all.
    whole: bool = True
