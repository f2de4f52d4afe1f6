"""The arithmetic behind the date functions; each works in the date's own time zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from taskrunner.model.expressions.zones import find_zone
from taskrunner.model.period import Period, plus_months

_DAY_S = 86_400


def _existing(moment: datetime) -> datetime:
    """Moves a local time that does not exist (a change to summer time skips it) to the next one."""
    if moment.tzinfo is UTC:
        return moment
    return moment.astimezone(UTC).astimezone(moment.tzinfo)


def by_clock(**unit: int) -> Callable[[datetime, int], datetime]:
    """Adds hours or minutes as real time, also where the clock is changed."""
    step = timedelta(**unit)

    def add(moment: datetime, count: int) -> datetime:
        return (moment.astimezone(UTC) + step * count).astimezone(moment.tzinfo)

    return add


def by_calendar(*, days: int = 0, months: int = 0) -> Callable[[datetime, int], datetime]:
    """Adds days or months: the same time of day on another date, clamped to the month's end."""

    def add(moment: datetime, count: int) -> datetime:
        later = plus_months(moment, count * months) if months else moment
        return _existing(later + timedelta(days=count * days))

    return add


def by_period(sign: int) -> Callable[[datetime, str], datetime]:
    """Adds (or subtracts) a period given as text; raises ValueError when it is none."""

    def add(moment: datetime, text: str) -> datetime:
        period = Period.parse(text)
        if period.months or period.unit.seconds >= _DAY_S:
            return _existing(period.add_to(moment, sign))
        return period.add_to(moment.astimezone(UTC), sign).astimezone(moment.tzinfo)

    return add


def make(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """A date in UTC."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def midnight(moment: datetime) -> datetime:
    """The beginning of the moment's day."""
    return _existing(moment.replace(hour=0, minute=0, second=0, microsecond=0))


def sunday(moment: datetime) -> datetime:
    """The same time on the last Sunday that is not after the moment's day."""
    return _existing(moment - timedelta(days=moment.isoweekday() % 7))


def in_time_zone(moment: datetime, zone: str) -> datetime:
    """The same moment on the clocks of another zone."""
    return moment.astimezone(find_zone(zone))
