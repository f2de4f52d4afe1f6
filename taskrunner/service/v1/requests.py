"""What /v1 takes. Members that a path names are of the path; others of the query, or the body."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from taskrunner.model.states import InstanceStatus
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
class ListPipelines:
    """Pipelines of the caller's account that meet every filter."""

    name: str | None = about("In the name or the id, in whatever case.", default=None)
    state: tuple[State, ...] = about("In one of these states.", default=())
    health: HealthStatus | None = about("With this health.", default=None)
    tag: tuple[str, ...] = about("With all of these tags: KEY, or KEY=VALUE.", default=())
    group: str | None = about("Whose last runs have work for this worker group.", default=None)
    late: bool | None = about("With instances that are late, or without any.", default=None)
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
class ShowDefinition:
    """A version of a definition."""

    pipeline_id: str = about(_PIPELINE)
    version: str = about("latest, active, or a number.", default="latest")
