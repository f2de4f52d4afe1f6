"""Which occurrences of the schedules `taskrunner run` works through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from taskrunner.errors import UsageError
from taskrunner.model.schedule import Occurrence, Schedule, ScheduleType
from taskrunner.model.times import format_datetime

#: A run at a terminal with more periods than this was hardly meant.
MOST_OCCURRENCES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleUse:
    """A schedule and the components that use it."""

    schedule: Schedule
    #: The schedule types of its components.
    styles: frozenset[ScheduleType]
    #: Whether an activity runs by it; if not, its periods follow those of the others.
    has_activities: bool
    #: Whether it starts at FIRST_ACTIVATION_DATE_TIME.
    starts_at_activation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The occurrences that a user asked for; without a wish, what the schedule suggests."""

    at: datetime | None = None
    since: datetime | None = None
    #: The latest start that still counts.
    until: datetime | None = None

    def pick(self, uses: Mapping[str, ScheduleUse], now: datetime) -> dict[str, list[Occurrence]]:
        """The occurrences of each schedule that are to run.

        Raises UsageError when the wish cannot be met or there is nothing to run.
        """
        leading = {key: use for key, use in uses.items() if use.has_activities} or dict(uses)
        picked = {key: self._of(use, now) for key, use in leading.items()}
        spans = [(o.start, o.end) for found in picked.values() for o in found]
        for key, use in uses.items():
            if key not in picked:
                picked[key] = _covering(use.schedule, spans)
        if not spans:
            raise UsageError("no occurrence of any schedule is to run")
        return picked

    def _of(self, use: ScheduleUse, now: datetime) -> list[Occurrence]:
        schedule = use.schedule
        if schedule.period is None:
            return list(schedule.iterate(0, 1))
        if self.at is not None:
            return [_containing(schedule, self.at)]
        if self.since is not None or self.until is not None:
            return self._range(schedule, now)
        if schedule.count is not None:
            return _bounded(schedule, 0, schedule.count)
        if use.starts_at_activation:
            return list(schedule.iterate(0, 1))
        late = ScheduleType.TIMESERIES in use.styles
        style = ScheduleType.TIMESERIES if late else ScheduleType.CRON
        newest = schedule.newest_due(now, style)
        if newest is None:
            first = schedule.occurrence(0)
            starts = (
                f"the first starts at {format_datetime(first.start)}" if first else "it is empty"
            )
            raise UsageError(
                f"no occurrence of schedule {schedule.id!r} is due yet: {starts}; "
                "pick one with --at"
            )
        return [newest]

    def _range(self, schedule: Schedule, now: datetime) -> list[Occurrence]:
        first = 0 if self.since is None else schedule.index_from(self.since)
        last = schedule.index_at(now if self.until is None else self.until)
        if first is None or last is None or last < first:
            raise UsageError(f"no occurrence of schedule {schedule.id!r} starts within the range")
        return _bounded(schedule, first, last + 1)


def _bounded(schedule: Schedule, first: int, stop: int) -> list[Occurrence]:
    if stop - first > MOST_OCCURRENCES:
        raise UsageError(
            f"schedule {schedule.id!r} has {stop - first} occurrences to run; "
            f"choose at most {MOST_OCCURRENCES} with --from and --to"
        )
    return list(schedule.iterate(first, stop))


def _containing(schedule: Schedule, moment: datetime) -> Occurrence:
    index = schedule.index_at(moment)
    found = None if index is None else schedule.occurrence(index)
    if found is None or moment >= found.end:
        raise UsageError(
            f"no occurrence of schedule {schedule.id!r} starts at or contains "
            f"{format_datetime(moment)}; it starts at {format_datetime(schedule.start)}"
        )
    return found


def _covering(schedule: Schedule, spans: list[tuple[datetime, datetime]]) -> list[Occurrence]:
    """The occurrences that overlap any of the spans, each once, in order."""
    found: dict[int, Occurrence] = {}
    for start, end in spans:
        for occurrence in overlapping(schedule, start, end):
            found[occurrence.index] = occurrence
    return [found[index] for index in sorted(found)]


def overlapping(schedule: Schedule, start: datetime, end: datetime) -> list[Occurrence]:
    """The occurrences of a schedule that share time with a period (or hold its moment)."""
    index = schedule.index_at(start)
    found: list[Occurrence] = []
    for occurrence in schedule.iterate(index or 0):
        if occurrence.start >= end and occurrence.start != start:
            break
        if occurrence.end > start or occurrence.start == start:
            found.append(occurrence)
    return found
