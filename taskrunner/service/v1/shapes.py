"""What /v1 answers with. Moments are in UTC; what is not known is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from taskrunner.model.run_status import RunStatus
from taskrunner.model.states import AttemptStatus, InstanceStatus
from taskrunner.model.why.causes import Code
from taskrunner.service.v1.schema import about

_MARKER = "Ask for the next page with this; left out after the last one."
_COUNTS = "How many instances there are by status."


class State(StrEnum):
    """The field @pipelineState."""

    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    PAUSED = "PAUSED"
    FINISHED = "FINISHED"
    DEACTIVATING = "DEACTIVATING"
    INACTIVE = "INACTIVE"


class HealthStatus(StrEnum):
    """Whether what ended last of each component succeeded."""

    HEALTHY = "HEALTHY"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """That something is paused."""

    object_id: str = about("What: an instance, a component, a backfill, or the pipeline itself.")
    by: str = about("The user who asked for it.")
    since: datetime = about("Since when.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStrip:
    """A run in few words."""

    start: datetime = about("The start of its period.")
    status: RunStatus = about("How it is.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All instances of a pipeline whose periods start at the same moment."""

    start: datetime = about("The start of the period.")
    end: datetime = about("The end of the period; of several, the last.")
    status: RunStatus = about("How it is: of what is told of its instances, what matters most.")
    counts: Mapping[str, int] = about(_COUNTS)
    began: datetime | None = about("When the first of it began.", default=None)
    ended: datetime | None = about(
        "When the last of it ended; left out while it goes on.", default=None
    )
    waits_for_turn: bool = about(
        "On demand: it begins once an earlier run has ended (maxActiveInstances).", default=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSummary:
    """A pipeline as a list shows it."""

    id: str = about("Its id.")
    name: str = about("Its name.")
    state: State = about("Its state; PAUSED while it is paused as a whole.")
    owner: str = about("The user who made it.")
    created: datetime = about("When it was made.")
    counts: Mapping[str, int] = about(
        "How many of its instances have each status other than FINISHED and SKIPPED; no more than "
        "1,000 of each are counted in a list, and 10,000 of a pipeline that is asked for alone."
    )
    late: int = about("Instances whose lateAfterTimeout has passed, and which go on.")
    runs: tuple[RunStrip, ...] = about("Its last runs, newest first.")
    groups: tuple[str, ...] = about("The worker groups that these have work for.")
    tags: Mapping[str, str] = about("Its tags.")
    at_least: tuple[str, ...] = about(
        "The statuses that more of its instances have than were counted.", default=()
    )
    health: HealthStatus | None = about("Left out before anything has ended.", default=None)
    last_end: datetime | None = about("When something of its last runs ended.", default=None)
    next_run: datetime | None = about("When its schedule comes to the next period.", default=None)
    pause: Pause | None = about("By whom it is paused as a whole.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineList:
    """A page of pipelines."""

    pipelines: tuple[PipelineSummary, ...] = about("The page.")
    total: int = about("How many meet the filters, on all pages.")
    marker: str | None = about(_MARKER, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A pipeline."""

    summary: PipelineSummary = about("As the list has it.")
    unique_id: str = about("The uniqueId that it was made with.")
    latest_version: int = about("The version of the definition that was put last; 0: none.")
    active_version: int = about("The version that was activated last; 0: none.")
    on_demand: bool = about("Whether it runs once per activation.")
    schedule_start: datetime | None = about("The start of its first period.", default=None)
    schedule_end: datetime | None = about(
        "The end of its last period; left out: it has none.", default=None
    )
    description: str | None = about("What it was described as.", default=None)
    first_activated: datetime | None = about("When it was activated first.", default=None)
    last_deactivated: datetime | None = about("When it was deactivated last.", default=None)
    pauses: tuple[Pause, ...] = about("Everything of it that is paused.", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A component that runs."""

    id: str = about("Its id.")
    name: str = about("Its name.")
    type: str = about("Its type.")
    category: str = about("activity, datanode, precondition or resource.")
    stage: int = about("How many steps lie before it: 0 for what waits for nothing.")
    where: str | None = about("Its worker group or resource, if one is set.", default=None)
    parent: str | None = about("The object that it takes fields from (`parent`).", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """That one component waits for another, or (`runsOn`) runs on it."""

    source: str = about("The id of the component that is waited for.")
    target: str = about("The id of the one that waits.")
    kind: str = about("input, dependsOn, precondition, producer or runsOn.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The structure of components by runs; what states they are in is asked for apart."""

    version: int = about("The version of the definition that the components are of; 0: none.")
    components: tuple[Component, ...] = about("In the order in which they run.")
    edges: tuple[Edge, ...] = about("What waits for what.")
    runs: tuple[Run, ...] = about("The runs, newest first.")
    older: datetime | None = about("Ask for older runs with this as `until`.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The state of one component in one run."""

    instance_id: str = about("The instance.")
    component_id: str = about("Its component.")
    start: datetime = about("The start of its period.")
    status: InstanceStatus = about("Its status.")
    attempts: int = about("How many attempts there were.")
    began: datetime | None = about("When it began.", default=None)
    ended: datetime | None = about("When it ended.", default=None)
    error_id: str | None = about("Of what failed.", default=None)
    cause: str | None = about("The instance whose failure it was drawn into.", default=None)
    late: bool = about("Whether its lateAfterTimeout has passed.", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """The states of instances, or of those that may have changed since a marker."""

    cells: tuple[Cell, ...] = about(
        "All, or those that go on or have ended since; with nothing changed, none."
    )
    marker: str = about("Ask for changes since now with this as `since`.")
    delta: bool = about("Whether cells that are not among them are as they were.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunList:
    """A page of runs."""

    runs: tuple[Run, ...] = about("The page, newest first.")
    marker: str | None = about(_MARKER, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSummary:
    """An instance as a list shows it."""

    id: str = about("Its id.")
    component_id: str = about("Its component.")
    name: str = about("Its component's name.")
    type: str = about("Its type.")
    category: str = about("activity, datanode, precondition or resource.")
    status: InstanceStatus = about("Its status.")
    start: datetime = about("The start of its period.")
    end: datetime = about("The end of its period.")
    attempts: int = about("How many attempts there were.")
    version: int = about("The version of the definition that it is of.")
    group: str | None = about("The worker group whose runners do its work.", default=None)
    began: datetime | None = about("When it began.", default=None)
    ended: datetime | None = about("When it ended.", default=None)
    error_id: str | None = about("Of what failed.", default=None)
    error_message: str | None = about("What went wrong, or what it waits for.", default=None)
    cause: str | None = about("The instance whose failure it was drawn into.", default=None)
    late: bool = about("Whether its lateAfterTimeout has passed.", default=False)
    reruns: int = about("How often somebody has had it run again.", default=0)
    backfill_id: str | None = about("The backfill that has begun it last.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceList:
    """A page of instances."""

    instances: tuple[InstanceSummary, ...] = about("The page, newest periods first.")
    marker: str | None = about(_MARKER, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSummary:
    """An attempt as a list shows it."""

    id: str = about("Its id.")
    number: int = about("Which of the instance's it is, from 1.")
    status: AttemptStatus = about("Its status.")
    group: str = about("The worker group that it was for.")
    ready: datetime = about("When a runner could take it.")
    hostname: str | None = about("The host that has, or had, it.", default=None)
    began: datetime | None = about("When a runner had it acknowledged.", default=None)
    ended: datetime | None = about("When it ended.", default=None)
    error_id: str | None = about("Of what failed.", default=None)
    error_message: str | None = about("What went wrong.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An instance that another one has to do with."""

    instance_id: str = about("The instance.")
    kind: str = about("input, dependsOn, precondition, producer or runsOn.")
    status: InstanceStatus | None = about(
        "Its status; left out: it is not there any more.", default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field as DescribeObjects shows it: expressions evaluated, secrets masked."""

    key: str = about("Its name.")
    value: str | None = about("Its text.", default=None)
    ref: str | None = about("The id of the object that it refers to.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An instance."""

    summary: InstanceSummary = about("As the list has it.")
    attempts: tuple[AttemptSummary, ...] = about("Its attempts, oldest first.")
    waits_for: tuple[Link, ...] = about("What it was made to wait for, whatever became of that.")
    followed_by: tuple[Link, ...] = about("What waits, or waited, for it.")
    fields: tuple[Field, ...] = about("All of its fields.")
    paused: bool = about("Whether it is held, itself or with its component, backfill or pipeline.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Handout:
    """That an attempt was given to a runner."""

    at: datetime = about("When.")
    state: str = about("ASSIGNED, RUNNING, DONE or SUPERSEDED.")
    hostname: str | None = about("The host that it went to.", default=None)
    user: str | None = about("Whose key polled for it.", default=None)
    verdict: str | None = about("What the runner said of it in the end.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt: what became of it, step by step."""

    summary: AttemptSummary = about("As the list has it.")
    instance_id: str = about("Its instance.")
    created: datetime = about("When it was made.")
    handouts: tuple[Handout, ...] = about("To whom it was given, oldest first.")
    progress: Mapping[str, Any] = about("What its runner said last of its progress.")
    fields: tuple[Field, ...] = about("All of its fields.")
    report_by: datetime | None = about("When its runner must have reported again.", default=None)
    timeout_s: int | None = about(
        "How long it may take (attemptTimeout), in seconds.", default=None
    )
    error_stack_trace: str | None = about("Where in the work it failed.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """Some of a log. What is no UTF-8 in it is replaced."""

    stream: str = about("Which log.")
    place: str = about("The folder that the attempt's logs are pushed to.")
    text: str = about("Whole lines, where they are not very long.")
    final: bool = about("Whether the log is whole: it changes no more.")
    last: bool = about("Whether this is its end, as far as it is pushed.")
    offset: int | None = about(
        "At how many bytes the text begins; left out where that is not known.", default=None
    )
    next_offset: int | None = about("Ask for what follows with this as `offset`.", default=None)
    before: str | None = about(
        "Ask for what stands before it with this; left out at the beginning.", default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why something waits, or how it ended."""

    code: Code = about("Its kind; docs/why.md tells what each means.")
    object_id: str = about(
        "What it is about: an instance, a component, a worker group or the pipeline."
    )
    says: str = about("One sentence for a person.")
    command: str = about("One command that mends it; in a chain, that of its root.")
    where: str = about("Where the command is to be given, if not here.", default="")
    because: tuple[Cause, ...] = about(
        "Why that is so in turn; the first is the one to look at.", default=()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An instance that waits, runs or has failed."""

    instance_id: str = about("Its id.")
    component_id: str = about("Its component.")
    status: InstanceStatus = about("Its status.")
    count: int = about("How many instances of the component have this status.", default=1)
    more: bool = about("There are more than that, which were not counted.", default=False)
    causes: tuple[Cause, ...] = about("The causes, the one to look at first.", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why a pipeline, or something of it, waits."""

    pipeline_id: str = about("The pipeline's id.")
    state: State = about("Its state.")
    pipeline: tuple[Cause, ...] = about(
        "What holds it as a whole; nothing while it goes on.", default=()
    )
    waiting: tuple[Waiting, ...] = about(
        "Of each component the oldest instance in each status before its end, and its last "
        "failure; or the instance that was asked about.",
        default=(),
    )
