"""What /v1 takes. Members that a path names are of the path; others of the query, or the body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from taskrunner.model.states import AlarmStatus, InstanceStatus
from taskrunner.service.v1.agent_shapes import AgentState
from taskrunner.service.v1.schema import about
from taskrunner.service.v1.shapes import HealthStatus, State

MOST_ON_PAGE = 500
_PIPELINE = "The pipeline's id."
_LIMIT = "How many there are on a page at most."
_MARKER = "The marker of the page before."


class Sort(StrEnum):
    """An order of pipelines."""

    BROKEN = "broken"  # those in ERROR first, then those that are late; by name
    NAME = "name"
    NEWEST = "newest"  # those that were made last first


@dataclass(frozen=True, slots=True, kw_only=True)
class OfPipelines:
    """Which pipelines of the caller's account: those that meet every filter."""

    name: str | None = about("In the name or the id, in whatever case.", default=None)
    state: tuple[State, ...] = about("In one of these states.", default=())
    health: HealthStatus | None = about("With this health.", default=None)
    tag: tuple[str, ...] = about("With all of these tags: KEY, or KEY=VALUE.", default=())
    group: str | None = about("Whose last runs have work for this worker group.", default=None)
    late: bool | None = about("With instances that are late, or without any.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPipelines(OfPipelines):
    """Pipelines of the caller's account that meet every filter."""

    live: bool | None = about("With instances that have not ended, or without any.", default=None)
    sort: Sort = about("The order.", default=Sort.BROKEN)
    runs: int = about("How many of the last runs are shown.", default=14, least=1, most=60)
    limit: int = about(_LIMIT, default=100, least=1, most=1000)
    marker: str | None = about(_MARKER, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowPipeline:
    """One pipeline."""

    pipeline_id: str = about(_PIPELINE)
    runs: int = about("How many of the last runs are shown.", default=14, least=1, most=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowGrid:
    """Components by runs."""

    pipeline_id: str = about(_PIPELINE)
    until: datetime | None = about("Only runs that start before this.", default=None)
    n: int = about("How many runs.", default=30, least=1, most=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowStates:
    """The states of the instances of runs."""

    pipeline_id: str = about(_PIPELINE)
    first: datetime = about("The start of the first run.")
    last: datetime = about("The start of the last run.")
    since: str | None = about(
        "The marker of an answer before: only what may have changed since.", default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRuns:
    """Runs of a pipeline, newest first."""

    pipeline_id: str = about(_PIPELINE)
    limit: int = about(_LIMIT, default=50, least=1, most=MOST_ON_PAGE)
    marker: str | None = about(_MARKER, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListInstances:
    """Instances of a pipeline that meet every filter, newest periods first."""

    pipeline_id: str = about(_PIPELINE)
    run: datetime | None = about("Of the run that starts then.", default=None)
    component: tuple[str, ...] = about("Of one of these components.", default=())
    status: tuple[InstanceStatus, ...] = about("In one of these statuses.", default=())
    limit: int = about(_LIMIT, default=100, least=1, most=MOST_ON_PAGE)
    marker: str | None = about(_MARKER, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowInstance:
    """One instance."""

    pipeline_id: str = about(_PIPELINE)
    instance_id: str = about("The instance's id.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowAttempt:
    """One attempt."""

    pipeline_id: str = about(_PIPELINE)
    attempt_id: str = about("The attempt's id.")


class LogName(StrEnum):
    """A log of an attempt."""

    ACTIVITY = "Activity.log"
    OUTPUT = "StdOutput"
    ERROR = "StdError"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowLog:
    """A page of a log of an attempt: its end, unless a place is named."""

    pipeline_id: str = about(_PIPELINE)
    attempt_id: str = about("The attempt's id.")
    stream: LogName = about("Which log.", default=LogName.OUTPUT)
    offset: int | None = about(
        "What follows so many bytes. In a whole log that costs as much as reading what stands "
        "before it.",
        default=None,
        least=0,
    )
    before: str | None = about("What stands before a page: its `before`.", default=None)
    limit: int = about(
        "About how many bytes; whole lines are told where they are not very long.",
        default=64 << 10,
        least=1,
        most=1 << 20,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLog:
    """Lines of a log of an attempt that have a text, from the log's beginning on."""

    pipeline_id: str = about(_PIPELINE)
    attempt_id: str = about("The attempt's id.")
    text: str = about("What the lines have in them, in whatever case; 200 letters at most.")
    stream: LogName = about("Which log.", default=LogName.OUTPUT)
    limit: int = about("How many lines at most.", default=100, least=1, most=MOST_ON_PAGE)
    marker: str | None = about("The marker of the answer before.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowDefinition:
    """A version of a definition."""

    pipeline_id: str = about(_PIPELINE)
    version: str = about("latest, active, or a number.", default="latest")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowSchedule:
    """When a pipeline runs."""

    pipeline_id: str = about(_PIPELINE)
    n: int = about(
        "How many periods to come, and of the past of each.", default=50, least=1, most=500
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAudit:
    """Changes that meet every filter, newest first."""

    pipeline_id: str | None = about(
        "Of this pipeline; keys that are bound to worker groups must name one.", default=None
    )
    user: str | None = about("By this user.", default=None)
    operation: tuple[str, ...] = about("By one of these operations of AWS's API.", default=())
    since: datetime | None = about("From this moment on.", default=None)
    limit: int = about(_LIMIT, default=100, least=1, most=MOST_ON_PAGE)
    marker: str | None = about(_MARKER, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAlarms:
    """Alarms of a pipeline, newest first."""

    pipeline_id: str = about(_PIPELINE)
    status: tuple[AlarmStatus, ...] = about("With one of these statuses.", default=())
    limit: int = about(_LIMIT, default=100, least=1, most=MOST_ON_PAGE)
    marker: str | None = about(_MARKER, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAlarms:
    """Alarms of a pipeline that were given up."""

    pipeline_id: str = about(_PIPELINE)
    ids: tuple[str, ...] = about("These; without any, all of them.", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAgents:
    """Agents of the caller's account that meet every filter."""

    group: str | None = about("That ask for work of this worker group.", default=None)
    state: tuple[AgentState, ...] = about("In one of these states.", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ListGroups:
    """Worker groups with work of the caller's account, or with agents."""

    name: str | None = about("In the name, in whatever case.", default=None)


# -- changes ------------------------------------------------------------------------------------

_DRY_RUN = "Say what would be done, and do nothing."


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate:
    """Set the definition that was put last going."""

    pipeline_id: str = about(_PIPELINE)
    parameter_values: Mapping[str, tuple[str, ...]] = about(
        "Values of parameters by their ids; for keys that may put definitions.",
        default_factory=dict,
    )
    start: datetime | None = about(
        "Periods that start before this are skipped; left out: go on where it had come to.",
        default=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deactivate:
    """Stop a pipeline."""

    pipeline_id: str = about(_PIPELINE)
    cancel_active: bool = about("Cancel what runs, or let it come to its end.", default=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseObjects:
    """Hold, or let go on, a pipeline or some of its objects; what runs goes on."""

    pipeline_id: str = about(_PIPELINE)
    object_ids: tuple[str, ...] = about(
        "Components, or instances; none: the pipeline as a whole.", default=(), most=1000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OfInstances:
    """Which instances of a pipeline: those that are named, or that meet every filter."""

    pipeline_id: str = about(_PIPELINE)
    ids: tuple[str, ...] = about("These instances.", default=(), most=5000)
    run: datetime | None = about("Of the run that starts then.", default=None)
    first: datetime | None = about("Of runs that start then or later.", default=None)
    last: datetime | None = about("Of runs that start then or earlier.", default=None)
    component: tuple[str, ...] = about("Of one of these components.", default=())
    status: tuple[InstanceStatus, ...] = about("In one of these statuses.", default=())
    dry_run: bool = about(_DRY_RUN, default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun(OfInstances):
    """Begin ended instances again; without ids and statuses, those that did not end well."""

    downstream: bool = about("With all that depends on them, however it ended.", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(OfInstances):
    """End what has not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish(OfInstances):
    """Take for finished what has not ended well, so that what waits for it goes on."""


class Redo(StrEnum):
    """Which periods of a backfill run."""

    MISSING = "missing"  # that have no instances, or were skipped
    FAILED = "failed"  # these, and those that did not end well
    ALL = "all"  # every one, also what has finished


class Order(StrEnum):
    """Which periods of a backfill begin first."""

    OLDEST = "oldest"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """Run periods of a schedule that lie in the past, as far as they are to run."""

    pipeline_id: str = about(_PIPELINE)
    first: datetime = about("The start of the first period.")
    last: datetime = about("The start of the last period.")
    redo: Redo = about("Which of these periods run.", default=Redo.MISSING)
    component: tuple[str, ...] = about("Only these components; none: all.", default=())
    reason: str | None = about("Why, for those who look at it.", default=None)
    limit: int | None = about(
        "How many of them go on at once: the next one begins when one has ended. Left out: all "
        "that have a place under maxActiveInstances.",
        default=None,
        least=1,
        most=1000,
    )
    order: Order = about("Which begin first; newest takes a limit.", default=Order.OLDEST)
    dry_run: bool = about(_DRY_RUN, default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBackfills:
    """Backfills of the account's pipelines, newest first."""

    pipeline_id: str | None = about(
        "Of this pipeline; keys that are bound to worker groups must name one.", default=None
    )
    limit: int = about(_LIMIT, default=50, least=1, most=MOST_ON_PAGE)
    marker: str | None = about(_MARKER, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneBackfill:
    """One backfill."""

    backfill_id: str = about("The backfill's id.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfAgents:
    """Agents: those that are named, or all that serve a worker group."""

    ids: tuple[str, ...] = about("These agents.", default=(), most=1000)
    group: str | None = about("All that serve this worker group.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAgents(OfAgents):
    """Tell agents to take no work, or to end."""

    note: str | None = about("Why.", default=None)
    minutes: int | None = about(
        "For how long; left out: until they are resumed.", default=None, least=1, most=525_600
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPipelines(OfPipelines):
    """Pipelines: those that are named, or that meet every filter."""

    ids: tuple[str, ...] = about("These pipelines.", default=(), most=5000)
    every: bool = about("All of the account, without a filter.", default=False)
    limit: int | None = about(
        "Of those that meet the filters, so many by this call; left out: all of them.",
        default=None,
        least=1,
        most=5000,
    )
    marker: str | None = about("The marker of the answer before, for those beyond.", default=None)
    dry_run: bool = about(_DRY_RUN, default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRerun(BulkPipelines):
    """Begin again what did not end well in the last runs of pipelines."""

    runs: int = about("How many of the last runs.", default=1, least=1, most=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowWhy:
    """Why a pipeline, or something of it, waits."""

    pipeline_id: str = about(_PIPELINE)
    object_id: str | None = about("Only about this instance, attempt or component.", default=None)
