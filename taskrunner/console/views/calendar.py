"""A month of a pipeline's periods, a day a cell, in the visitor's time zone."""

from __future__ import annotations

import calendar
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from taskrunner.console.views import addresses
from taskrunner.console.views.moments import day_of, midnight, moment
from taskrunner.console.views.words import Sign, sign
from taskrunner.service.v1.calendar_shapes import Calendar, CalendarPeriod, PeriodState

_STATES: Mapping[PeriodState, Sign] = {
    PeriodState.MISSING: Sign("✕", "did not run", "bad"),
    PeriodState.DUE: Sign("▶", "due", "run"),
    PeriodState.COMES: Sign("…", "to come", "wait"),
    PeriodState.SKIPPED: Sign("⊘", "skipped", "off"),
}
_MONTH = re.compile(r"(\d{4})-(\d{2})")
#: Of a day, so many periods are told each by itself.
_EACH = 3
_YEARS = range(1971, 9999)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPeriod:
    """A period of a day that has few, or several that are alike."""

    sign: Sign
    #: `02:00`, or of several how many.
    what: str
    #: The run, or (of several) the grid that ends with the day; nothing: it has not come.
    address: str
    #: What is said of it in words.
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of the month; of the days around it, which fill the weeks, no periods are told."""

    number: int
    is_outside: bool
    is_today: bool
    periods: Sequence[DayPeriod]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarPage:
    """The month."""

    #: `November 2026`.
    title: str
    weeks: Sequence[Sequence[Day]]
    before: str
    after: str
    more: bool


def month_of(text: str, now: datetime) -> date:
    """The first day of the month that an address names; of what is none, of this month."""
    found = _MONTH.fullmatch(text)
    if found and int(found[1]) in _YEARS and 1 <= int(found[2]) <= 12:
        return date(int(found[1]), int(found[2]), 1)
    return day_of(now).replace(day=1)


def span_of(month: date) -> tuple[datetime, datetime]:
    """The first and the last moment of a month."""
    return midnight(month), midnight(_next(month)) - timedelta(seconds=1)


def calendar_page(pipeline_id: str, month: date, found: Calendar, now: datetime) -> CalendarPage:
    """The month of an answer."""
    by_day: dict[date, list[CalendarPeriod]] = {}
    for period in found.periods:
        by_day.setdefault(day_of(period.start), []).append(period)
    path, today = addresses.pipeline(pipeline_id, "schedule"), day_of(now)
    weeks = calendar.Calendar().monthdatescalendar(month.year, month.month)
    return CalendarPage(
        title=f"{month:%B %Y}",
        weeks=[
            [
                Day(
                    number=day.day,
                    is_outside=day.month != month.month,
                    is_today=day == today,
                    periods=_periods(pipeline_id, day, by_day.get(day, ()))
                    if day.month == month.month
                    else (),
                )
                for day in week
            ]
            for week in weeks
        ],
        before=addresses.with_query(path, {}, month=f"{month - timedelta(days=1):%Y-%m}"),
        after=addresses.with_query(path, {}, month=f"{_next(month):%Y-%m}"),
        more=found.more,
    )


def _next(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _periods(pipeline_id: str, day: date, found: Sequence[CalendarPeriod]) -> Sequence[DayPeriod]:
    if len(found) <= _EACH:
        return [_one(pipeline_id, period) for period in found]
    counts = Counter(_sign(period) for period in found)
    until = addresses.at(midnight(day + timedelta(days=1)))
    ran = {_sign(period) for period in found if period.status is not None}
    grid = addresses.with_query(
        addresses.pipeline(pipeline_id, "grid"), {}, until=until, n=str(min(len(found), 100))
    )
    return [
        DayPeriod(
            sign=shown,
            what=str(count),
            address=grid if shown in ran else "",
            title=f"{count} {shown.word}",
        )
        for shown, count in counts.most_common()
    ]


def _one(pipeline_id: str, period: CalendarPeriod) -> DayPeriod:
    shown, told = _sign(period), moment(period.start)
    return DayPeriod(
        sign=shown,
        what=told.partition(" ")[2],
        address=addresses.run(pipeline_id, period.start) if period.status is not None else "",
        title=f"{told}: {shown.word}",
    )


def _sign(period: CalendarPeriod) -> Sign:
    return _STATES.get(period.state) or sign(period.status)
