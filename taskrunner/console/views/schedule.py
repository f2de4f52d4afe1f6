"""When a pipeline runs: what comes, and what of the past did not run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.console.views import addresses
from taskrunner.console.views.moments import moment
from taskrunner.console.views.words import Sign
from taskrunner.service.v1.schedule_shapes import NotRun, Planned, ScheduleOverview, ScheduleSummary

_PLANNED = {
    Planned.COMES: Sign("…", "comes", "wait"),
    Planned.DUE: Sign("▶", "due", "run"),
    Planned.SKIPPED: Sign("⊘", "will be skipped", "off"),
}
_NOT_RUN = {
    NotRun.SKIPPED: Sign("⊘", "skipped", "off"),
    NotRun.MISSING: Sign("✕", "has no instances", "bad"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodLine:
    """A period."""

    schedule_id: str
    start: datetime
    end: datetime
    sign: Sign
    #: When the first of it may run; of the past, nothing.
    runs_at: datetime | None = None
    #: The page that runs it after all.
    backfill: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePage:
    """The page."""

    #: `HourlySchedule: every 1 hour from 2026-02-13 02:00 until …`.
    schedules: Sequence[str]
    planned: Sequence[PeriodLine]
    not_run: Sequence[PeriodLine]
    #: What is to be known of all of it, in a sentence, or nothing.
    note: str
    problem: str


def schedule_page(pipeline_id: str, found: ScheduleOverview) -> SchedulePage:
    """The page of an answer."""
    return SchedulePage(
        schedules=[_told(schedule) for schedule in found.schedules],
        planned=[
            PeriodLine(
                schedule_id=one.schedule_id,
                start=one.start,
                end=one.end,
                runs_at=one.runs_at,
                sign=_PLANNED[one.state],
            )
            for one in found.planned
        ],
        not_run=[
            PeriodLine(
                schedule_id=one.schedule_id,
                start=one.start,
                end=one.end,
                sign=_NOT_RUN[one.why],
                backfill=addresses.with_query(
                    addresses.pipeline(pipeline_id, "backfill"),
                    {},
                    first=addresses.at(one.start),
                    last=addresses.at(one.start),
                    redo="missing",
                ),
            )
            for one in found.not_run
        ],
        note=_note(found),
        problem=found.problem or "",
    )


def _told(schedule: ScheduleSummary) -> str:
    until = f" until {moment(schedule.until)}" if schedule.until else ""
    most = f", {schedule.occurrences} times at most" if schedule.occurrences else ""
    return f"{schedule.id}: every {schedule.period} from {moment(schedule.start)}{until}{most}"


def _note(found: ScheduleOverview) -> str:
    if not found.version:
        return "No definition has been put."
    if found.on_demand:
        return "It runs on demand: once for each activation."
    if not found.active:
        return "Its schedules stand still. These periods come once it is activated."
    return ""
