"""Rows that only the service knows, as values; instances and attempts stand in model.rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from taskrunner.model.masks import MASK
from taskrunner.model.rows import Row
from taskrunner.model.states import PipelineState
from taskrunner.secret import is_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRow(Row):
    """A pipeline, without its definition."""

    pipeline_id: str
    account: str
    user_id: str
    name: str
    unique_id: str
    description: str | None
    tags: tuple[tuple[str, str], ...]
    state: PipelineState
    created_at: datetime
    first_activated_at: datetime | None = None
    latest_run_at: datetime | None = None
    deleted_at: datetime | None = None
    last_deactivated_at: datetime | None = None
    #: Whether the latest deactivation ends what runs, too; None: it was not noted yet.
    cancels_active: bool | None = None
    latest_version: int = 0
    active_version: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", PipelineState(self.state))
        object.__setattr__(self, "tags", tuple((key, value) for key, value in self.tags))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow(Row):
    """How far a schedule has been turned into instances."""

    pipeline_id: str
    schedule_id: str
    next_index: int
    next_at: datetime | None
    #: Periods that start before this are skipped.
    skip_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRow(Row):
    """Something that is paused: an instance, a component, a backfill, or a pipeline (by its id)."""

    pipeline_id: str
    object_id: str
    paused_at: datetime
    paused_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoutRow(Row):
    """One hand-out of an attempt to a runner."""

    task_id: str
    pipeline_id: str
    attempt_id: str
    state: str
    handed_out_at: datetime
    hostname: str | None = None
    verdict: str | None = None
    #: Whose key polled for it; None: it was handed out before this was kept.
    account: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerRow(Row):
    """Somebody who asks for work."""

    account: str
    runner_id: str
    user_id: str
    first_seen_at: datetime
    last_seen_at: datetime
    last_poll_at: datetime | None = None
    last_heartbeat_at: datetime | None = None
    hostname: str | None = None
    ip: str | None = None
    version: str | None = None
    slots: int | None = None
    busy: int | None = None
    #: Why it takes no work, as it says itself; empty: it takes it; None: it does not say.
    paused: str | None = None
    #: What an operator has told it, PAUSE or DRAIN: who, why, when, and until when.
    ordered: str | None = None
    ordered_by: str | None = None
    ordered_note: str | None = None
    ordered_at: datetime | None = None
    ordered_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerGroupRow(Row):
    """A worker group that a runner serves, as its calls say."""

    account: str
    runner_id: str
    worker_group: str
    last_seen_at: datetime
    #: None: it was not heard to ask for work, such as one that began when it was paused.
    last_poll_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedPollRow(Row):
    """Polls from one address that were refused for one reason."""

    ip: str
    #: Empty: it is not known.
    worker_group: str
    code: str
    message: str
    last_at: datetime
    account: str | None = None
    key_id: str | None = None
    hostname: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRow(Row):
    """A notification to be published, or published."""

    pipeline_id: str
    alarm_id: str
    instance_id: str
    action_id: str
    event: str
    #: Where it goes to; one that begins with a star is secret, and has the star in the store only.
    topic_arn: str
    subject: str
    message: str
    status: str
    tries: int
    created_at: datetime
    error: str | None = None
    next_at: datetime | None = None
    #: The ARN of the role in whose name it is published; None: the service's own.
    role: str | None = None
    #: Of several targets, the names of those that have taken it.
    taken_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "taken_by", tuple(self.taken_by or ()))

    @property
    def topic(self) -> str:
        """Where it is sent."""
        return self.topic_arn.removeprefix("*")

    @property
    def shown_topic(self) -> str:
        """What is said of where it is sent."""
        return MASK if is_secret(self.topic_arn) else self.topic_arn


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredCall(Row):
    """A signed call that changes something."""

    key_id: str
    signature: str
    operation: str
    begun_at: datetime
    good_until: datetime
    pipeline_id: str | None = None
    task_id: str | None = None
    #: None: it is under way.
    answer: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKeyRow(Row):
    """A key of a caller that an operator has made."""

    key_id: str
    #: None: it was revoked.
    secret: str | None = field(repr=False)
    user_id: str
    account: str
    created_at: datetime
    role: str | None = None
    actions: tuple[str, ...] | None = None
    worker_groups: tuple[str, ...] | None = None
    note: str | None = None
    revoked_at: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("actions", "worker_groups"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, tuple(given))


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRow(Row):
    """A machine of EC2 that was asked for, or is about to be."""

    machine_id: str
    pipeline_id: str
    instance_id: str
    launch: int
    number: int
    account: str
    worker_group: str
    region: str
    token: str = field(repr=False)
    created_at: datetime
    secret: str | None = field(default=None, repr=False)
    ec2_id: str | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRow(Row):
    """A cluster of EMR that was asked for, or is about to be."""

    cluster_id: str
    pipeline_id: str
    instance_id: str
    launch: int
    worker_group: str
    region: str
    created_at: datetime
    asked_at: datetime | None = None
    emr_id: str | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow(Row):
    """A ticket or a session of the console; its token is known to the browser alone."""

    token_hash: str
    kind: str
    key_id: str
    key_mark: str = field(repr=False)
    created_at: datetime
    used_at: datetime
    expires_at: datetime
