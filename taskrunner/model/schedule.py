"""When things run: a Schedule's occurrences, found by arithmetic and never by counting up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from taskrunner.errors import DefinitionError, Place
from taskrunner.model.document import PipelineObject
from taskrunner.model.period import Period
from taskrunner.model.times import parse_datetime

FIRST_ACTIVATION = "FIRST_ACTIVATION_DATE_TIME"
ONDEMAND_ACTIVATION = "ONDEMAND_ACTIVATION_TIME"
ONDEMAND_PERIOD = "ONDEMAND_PERIOD"
#: The schedule id under which an on-demand pipeline's only period goes.
ON_DEMAND_ID = "Default"


class ScheduleType(StrEnum):
    """When in its interval an activity or data node runs (resources always at the start)."""

    CRON = "cron"  # at the start
    TIMESERIES = "timeseries"  # at the end, when the interval's data is complete
    ONDEMAND = "ondemand"  # once per activation, without a Schedule object

    @classmethod
    def parse(cls, text: str) -> ScheduleType:
        """Read the field scheduleType, in any case; raises ValueError with a sentence."""
        try:
            return cls(text.strip().lower())
        except ValueError:
            raise ValueError(f"found {text!r}, wanted cron, timeseries or ondemand") from None

    @classmethod
    def of(cls, obj: PipelineObject) -> ScheduleType:
        """The type that an effective object has; `timeseries` unless it says otherwise.

        Raises DefinitionError for any other word.
        """
        text = obj.string("scheduleType")
        if text is None:
            return cls.TIMESERIES
        try:
            return cls.parse(text)
        except ValueError as error:
            raise _wrong(obj, "scheduleType", str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One interval of a schedule: @scheduledStartTime and @scheduledEndTime; indexes from 0."""

    index: int
    start: datetime
    end: datetime


def runs_at(occurrence: Occurrence, schedule_type: ScheduleType) -> datetime:
    """The moment from which an activity of this schedule type may run the occurrence."""
    return occurrence.end if schedule_type is ScheduleType.TIMESERIES else occurrence.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule whose start is known. Every method costs the same for any index.

    `until` is endDateTime: no occurrence starts at or after it. No period: on demand, one
    occurrence of no length. Months are always counted from `start`, so that month ends do not
    drift.
    """

    id: str
    start: datetime
    period: Period | None
    until: datetime | None = None
    occurrences: int | None = None

    @classmethod
    def from_object(cls, obj: PipelineObject, *, activated_at: datetime) -> Schedule:
        """Build from an effective Schedule object whose expressions have been evaluated.

        startDateTime wins over startAt. Raises DefinitionError naming object and field when a
        field that is needed is missing or cannot be read.
        """
        return cls(
            id=obj.id,
            start=_start(obj, activated_at.replace(microsecond=0)),
            period=_period(obj),
            until=_datetime(obj, "endDateTime"),
            occurrences=_occurrences(obj),
        )

    @classmethod
    def on_demand(cls, activated_at: datetime, schedule_id: str = ON_DEMAND_ID) -> Schedule:
        """The single occurrence that an activation of an on-demand pipeline makes."""
        return cls(id=schedule_id, start=activated_at.replace(microsecond=0), period=None)

    @property
    def count(self) -> int | None:
        """How many occurrences there are in all; none when there is no end."""
        if self.period is None:
            return 1
        bounds = [] if self.occurrences is None else [self.occurrences]
        if self.until is not None:
            bounds.append(self._first_from(self.until))
        return min(bounds, default=None)

    def occurrence(self, index: int) -> Occurrence | None:
        """The occurrence with this index; none before the first and after the last."""
        if index < 0:
            return None
        if self.period is None:
            start = end = self.start
            return Occurrence(index=0, start=start, end=end) if index == 0 else None
        if self.occurrences is not None and index >= self.occurrences:
            return None
        try:
            start = self.period.add_to(self.start, index)
            end = self.period.add_to(self.start, index + 1)
        except OverflowError:
            return None
        if self.until is not None and start >= self.until:
            return None
        return Occurrence(index=index, start=start, end=end)

    def index_at(self, moment: datetime) -> int | None:
        """The index of the newest occurrence that starts at or before `moment`."""
        index = self._floor(moment)
        if self.count is not None:
            index = min(index, self.count - 1)
        return None if index < 0 else index

    def index_from(self, moment: datetime) -> int | None:
        """The index of the first occurrence that starts at or after `moment`."""
        index = self._first_from(moment)
        return None if self.occurrence(index) is None else index

    def newest_due(self, moment: datetime, schedule_type: ScheduleType) -> Occurrence | None:
        """The newest occurrence that may run at `moment`: its `runs_at` is not later."""
        index = self._floor(moment)
        if schedule_type is ScheduleType.TIMESERIES and self.period is not None:
            index -= 1
        if self.count is not None:
            index = min(index, self.count - 1)
        return self.occurrence(index)

    def iterate(self, first: int = 0, stop: int | None = None) -> Iterator[Occurrence]:
        """Occurrences by index from `first` up to, not with, `stop`; lazily, perhaps for ever."""
        index = first
        while (stop is None or index < stop) and (found := self.occurrence(index)):
            yield found
            index += 1

    def _first_from(self, moment: datetime) -> int:
        """The first index >= 0 whose start, bounds aside, is at or after `moment`."""
        index = self._floor(moment)
        if index < 0:
            return 0
        start = self.start if self.period is None else self.period.add_to(self.start, index)
        return index if start >= moment else index + 1

    def _floor(self, moment: datetime) -> int:
        """The newest index, bounds aside, whose start is not after `moment`; -1 if none."""
        if moment < self.start:
            return -1
        if self.period is None:
            return 0
        fixed = self.period.fixed
        if fixed is not None:
            return (moment - self.start) // fixed
        months = (moment.year - self.start.year) * 12 + moment.month - self.start.month
        index = months // self.period.months
        # The same month may still be too late in the month: one step back at the most.
        return index if self.period.add_to(self.start, index) <= moment else index - 1


def _wrong(obj: PipelineObject, field: str, message: str) -> DefinitionError:
    position = next((f.position for f in obj.fields if f.key == field), None) or obj.position
    line, column = (position.line, position.column) if position else (None, None)
    place = Place(object_id=obj.id, field=field, line=line, column=column)
    return DefinitionError(message, place)


def _datetime(obj: PipelineObject, field: str) -> datetime | None:
    text = obj.string(field)
    if text is None:
        return None
    try:
        return parse_datetime(text)
    except ValueError as error:
        raise _wrong(obj, field, str(error)) from None


def _start(obj: PipelineObject, activated_at: datetime) -> datetime:
    given = _datetime(obj, "startDateTime")
    if given is not None:
        return given
    start_at = obj.string("startAt")
    if start_at is None:
        raise _wrong(obj, "startDateTime", "a Schedule needs startDateTime or startAt")
    if start_at.strip().upper() not in {FIRST_ACTIVATION, ONDEMAND_ACTIVATION}:
        raise _wrong(obj, "startAt", f"found {start_at!r}, wanted {FIRST_ACTIVATION}")
    return activated_at


def _period(obj: PipelineObject) -> Period | None:
    text = obj.string("period")
    if text is None:
        raise _wrong(obj, "period", "a Schedule needs a period, such as '1 day'")
    if text.strip().upper() == ONDEMAND_PERIOD:
        return None
    try:
        return Period.parse(text)
    except ValueError as error:
        raise _wrong(obj, "period", str(error)) from None


def _occurrences(obj: PipelineObject) -> int | None:
    text = obj.string("occurrences")
    if text is None:
        return None
    if not (text.strip().isascii() and text.strip().isdigit() and 0 < int(text) < 10**9):
        raise _wrong(obj, "occurrences", f"found {text!r}, wanted a whole number above 0")
    return int(text)
