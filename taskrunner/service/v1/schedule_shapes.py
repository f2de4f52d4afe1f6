"""What /v1 answers about schedules: what comes, and what of the past did not run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from taskrunner.service.v1.schema import about


class Planned(StrEnum):
    """What becomes of a period that has not been made."""

    COMES = "comes"  # its time is yet to come
    DUE = "due"  # it has begun and is made next
    SKIPPED = "skipped"  # it is made, and nothing of it runs


class NotRun(StrEnum):
    """Why nothing of a period has run."""

    SKIPPED = "skipped"  # it was skipped: by an activation that began after it, or by catching up
    MISSING = "missing"  # it has no instances: it was never made, or is not kept any more


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSummary:
    """A schedule that something runs by."""

    id: str = about("Its id.")
    start: datetime = about("The start of its first period.")
    period: str = about("How long a period is.")
    until: datetime | None = about("No period starts then or later.", default=None)
    occurrences: int | None = about("How many periods there are at most.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPeriod:
    """A period that has not been made."""

    schedule_id: str = about("Its schedule.")
    start: datetime = about("Its start.")
    end: datetime = about("Its end.")
    runs_at: datetime = about("When the first of it may run.")
    state: Planned = about("What becomes of it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPeriod:
    """A period of which nothing has run."""

    schedule_id: str = about("Its schedule.")
    start: datetime = about("Its start.")
    end: datetime = about("Its end.")
    why: NotRun = about("Why.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOverview:
    """When a pipeline runs."""

    version: int = about("The version of the definition that is told of; 0: none.")
    active: bool = about("Whether its schedules go on; else this is what an activation begins.")
    on_demand: bool = about("Whether it runs once per activation, without periods.")
    schedules: tuple[ScheduleSummary, ...] = about("Its schedules.", default=())
    planned: tuple[PlannedPeriod, ...] = about("The next periods, in their order.", default=())
    not_run: tuple[PastPeriod, ...] = about(
        "Of the last periods of each schedule those that did not run, newest first.", default=()
    )
    problem: str | None = about("Why its schedules cannot be read.", default=None)
