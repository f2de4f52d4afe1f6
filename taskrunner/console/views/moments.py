"""Moments and durations as people read them: UTC, unless the visitor has chosen a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


_ZONE: ContextVar[tzinfo] = ContextVar("zone", default=UTC)


@contextmanager
def shown_in(zone: str) -> Iterator[None]:
    """Have moments shown in a time zone meanwhile; nothing: in UTC."""
    token = _ZONE.set(ZoneInfo(zone) if zone else UTC)
    try:
        yield
    finally:
        _ZONE.reset(token)


def moment(at: datetime | None) -> str:
    """`2026-11-30 02:00`, with seconds where there are any."""
    return _told(at, _ZONE.get())


def utc(at: datetime | None) -> str:
    """The same in UTC, whatever the visitor has chosen."""
    return _told(at, UTC)


@lru_cache(maxsize=4096)
def _told(at: datetime | None, zone: tzinfo) -> str:
    if at is None:
        return "-"
    at = at.astimezone(zone)
    return at.strftime("%Y-%m-%d %H:%M:%S" if at.second else "%Y-%m-%d %H:%M")


def day_of(at: datetime) -> date:
    """The day on which a moment is, where the visitor is."""
    return at.astimezone(_ZONE.get()).date()


def midnight(day: date) -> datetime:
    """When a day begins, where the visitor is."""
    return datetime(day.year, day.month, day.day, tzinfo=_ZONE.get()).astimezone(UTC)


def took(seconds: float | timedelta | None) -> str:
    """A duration: `4.2 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`."""
    if seconds is None:
        return "-"
    total = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    total = max(total, 0.0)
    if total < 10:
        return f"{total:.1f} s"
    whole = round(total)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", 1, "s")
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    return _two(whole, _DAY, "d", _HOUR, "h")


def ago(at: datetime | None, now: datetime) -> str:
    """How far a moment is from now: `5 min ago`, `in 2 h 10 min`."""
    if at is None:
        return ""
    off = (now - at).total_seconds()
    if abs(off) < 1:
        return "now"
    return f"{took(round(off))} ago" if off > 0 else f"in {took(round(-off))}"


def _two(whole: int, large: int, large_word: str, small: int, small_word: str) -> str:
    first, rest = divmod(whole, large)
    second = rest // small
    return f"{first} {large_word} {second} {small_word}" if second else f"{first} {large_word}"
