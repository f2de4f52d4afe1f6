"""What /v1 answers to a change: what was done, or would be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from taskrunner.model.run_status import RunStatus
from taskrunner.model.states import InstanceStatus
from taskrunner.service.v1.schema import about
from taskrunner.service.v1.shapes import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """That something was done, or was so already."""

    pipeline_id: str = about("The pipeline.")
    state: State = about("Its state now.")


class Reason(StrEnum):
    """Why an instance is among those that are changed."""

    SELECTED = "selected"  # it was named, or meets the filters
    DOWNSTREAM = "downstream"  # it depends on one that is
    ALONG = "along"  # it must come along: drawn into a failure, a resource and its users, a check


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedInstance:
    """An instance that was changed, or would be."""

    id: str = about("The instance.")
    component_id: str = about("Its component.")
    start: datetime = about("The start of its period.")
    was: InstanceStatus = about("Its status before.")
    reason: Reason = about("Why it is among them.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What was changed, or would be."""

    dry_run: bool = about("Whether nothing was done.")
    count: int = about("How many instances.")
    unchanged: int = about("How many of the selected ones there was nothing to do about.")
    instances: tuple[ChangedInstance, ...] = about("The first 1,000 of them.")


class BackfillAction(StrEnum):
    """What a backfill does about a run."""

    MAKE = "make"  # the period has no instances yet
    RERUN = "rerun"  # instances of it begin again
    KEEP = "keep"  # nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Overwritten:
    """What an activity writes in a period, and may be there already."""

    component_id: str = about("The activity.")
    node_id: str = about("The data node that it writes.")
    place: str = about("The place or table, as far as it can be told beforehand; secrets masked.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillRun:
    """A period of a backfill."""

    start: datetime = about("The start of the period.")
    end: datetime = about("The end of the period.")
    schedule_id: str = about("The schedule that it is of.")
    action: BackfillAction = about("What is done about it.")
    status: RunStatus | None = about("How it is; left out: it has no instances.", default=None)
    components: tuple[str, ...] = about("What runs.", default=())
    overwrites: tuple[Overwritten, ...] = about("What that writes.", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillPlan:
    """Every period of a backfill; of more than 1,000, the caller is asked to narrow it."""

    dry_run: bool = about("Whether nothing was done.")
    runs: tuple[BackfillRun, ...] = about("The periods, oldest first.")
    count: int = about("How many of them run.")
    backfill_id: str | None = about(
        "By which it is listed, paused, resumed and canceled; left out where nothing runs.",
        default=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one pipeline of many."""

    pipeline_id: str = about("The pipeline.")
    name: str = about("Its name.")
    count: int | None = about("How many instances, where it is about instances.", default=None)
    error: str | None = about("Why nothing was done.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What came of each pipeline."""

    dry_run: bool = about("Whether nothing was done.")
    pipelines: tuple[Outcome, ...] = about("Each that was named, or met the filters, by name.")
    left: int = about("How many more meet the filters, beyond these.", default=0)
    marker: str | None = about(
        "Ask for those beyond with this; left out when there are none.", default=None
    )
