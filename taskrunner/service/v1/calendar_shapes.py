"""What /v1 answers about the periods of a span of time, past and to come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from taskrunner.model.run_status import RunStatus
from taskrunner.service.v1.schema import about


class PeriodState(StrEnum):
    """What has become of a period, or will."""

    RAN = "ran"  # it has instances; how they are, is its status
    MISSING = "missing"  # it has come, and has no instances: never made, or not kept any more
    DUE = "due"  # it has begun and is made next
    COMES = "comes"  # its time is yet to come
    SKIPPED = "skipped"  # it is made, and nothing of it runs


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPeriods:
    """The periods of a span of time."""

    pipeline_id: str = about("The pipeline's id.")
    first: datetime = about("From those that start then.")
    last: datetime = about("Up to those that start then; 100 days later at the most.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarPeriod:
    """A period of a schedule, or a run of no schedule that there is now."""

    start: datetime = about("Its start.")
    end: datetime = about("Its end.")
    state: PeriodState = about("What has become of it.")
    schedule_id: str | None = about(
        "Its schedule; left out for a run on demand, or of an earlier definition.", default=None
    )
    status: RunStatus | None = about("How its run is, where it has one.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Every period of a span."""

    periods: tuple[CalendarPeriod, ...] = about("In their order, 5,000 at most.")
    more: bool = about("Whether there are more, which are not told.", default=False)
