"""Formatting dates with the patterns of Joda-Time's DateTimeFormat, in English."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache

from taskrunner.model.expressions.zones import offset_text, zone_full_name, zone_id, zone_name

# fmt: off
_MONTHS = ["January", "February", "March", "April", "May", "June",
           "July", "August", "September", "October", "November", "December"]
# fmt: on
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

Writer = Callable[[datetime, int], str]
_PIECE = re.compile(r"([A-Za-z])\1*|''|'(?:[^']|'')*'?|[^A-Za-z']+", re.DOTALL)
#: So that a pattern cannot ask for gigabytes of leading zeros.
_MAX_REPEAT = 100


def format_date(moment: datetime, pattern: str) -> str:
    """Write an aware moment, in its own time zone, by a pattern.

    Raises ValueError when the pattern is empty or has a letter without a meaning.
    """
    return "".join(
        piece if isinstance(piece, str) else piece[0](moment, piece[1])
        for piece in _compile(pattern)
    )


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> tuple[str | tuple[Writer, int], ...]:
    if not pattern:
        raise ValueError("the date pattern is empty")
    return tuple(_piece(match[0]) for match in _PIECE.finditer(pattern))


def _piece(text: str) -> str | tuple[Writer, int]:
    if text == "''":
        return "'"
    if text[0] == "'":
        return text[1:].removesuffix("'").replace("''", "'")
    if not (text[0].isascii() and text[0].isalpha()):
        return text
    if text[0] not in LETTERS:
        raise ValueError(f"the date pattern has {text!r}; its letters are {''.join(LETTERS)}")
    if len(text) > _MAX_REPEAT:
        raise ValueError(f"the date pattern repeats {text[0]!r} {len(text)} times")
    return LETTERS[text[0]], len(text)


def _number(get: Callable[[datetime], int]) -> Writer:
    """Digits, at least as many as there are letters."""
    return lambda moment, count: str(get(moment)).zfill(count)


def _year(get: Callable[[datetime], int]) -> Writer:
    """As a number; exactly two letters mean the year of the century."""
    return lambda moment, count: (
        f"{get(moment) % 100:02d}" if count == 2 else str(get(moment)).zfill(count)
    )


def _words(names: list[str], get: Callable[[datetime], int], count: int, moment: datetime) -> str:
    name = names[get(moment)]
    return name if count >= 4 else name[:3]


def _month(moment: datetime, count: int) -> str:
    if count < 3:
        return str(moment.month).zfill(count)
    return _words(_MONTHS, lambda m: m.month - 1, count, moment)


def _day_name(moment: datetime, count: int) -> str:
    return _words(_DAYS, datetime.weekday, count, moment)


def _fraction(moment: datetime, count: int) -> str:
    return f"{moment.microsecond:06d}"[:count].ljust(count, "0")


def _offset(moment: datetime, count: int) -> str:
    if count > 2:
        return zone_id(moment)
    return offset_text(moment, ":" if count == 2 else "")


def _zone(moment: datetime, count: int) -> str:
    return zone_full_name(moment) if count >= 4 else zone_name(moment)


#: Every letter of Joda's DateTimeFormat.
LETTERS: Mapping[str, Writer] = {
    "G": lambda _moment, _count: "AD",
    "C": _number(lambda m: m.year // 100),
    "Y": _year(lambda m: m.year),
    "x": _year(lambda m: m.isocalendar().year),
    "w": _number(lambda m: m.isocalendar().week),
    "e": _number(datetime.isoweekday),
    "E": _day_name,
    "y": _year(lambda m: m.year),
    "D": _number(lambda m: m.timetuple().tm_yday),
    "M": _month,
    "d": _number(lambda m: m.day),
    "a": lambda moment, _count: "AM" if moment.hour < 12 else "PM",
    "K": _number(lambda m: m.hour % 12),
    "h": _number(lambda m: m.hour % 12 or 12),
    "H": _number(lambda m: m.hour),
    "k": _number(lambda m: m.hour or 24),
    "m": _number(lambda m: m.minute),
    "s": _number(lambda m: m.second),
    "S": _fraction,
    "z": _zone,
    "Z": _offset,
}
