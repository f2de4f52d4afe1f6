"""The functions that a filter may call."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from taskrunner.data.dynamodb.filter.values import Value, text

_USUAL = "yyyy-MM-dd HH:mm:ss"
#: Letters of Java's SimpleDateFormat by what they read, and as Python names it.
_DATE_LETTERS = {
    "y": ("year", r"[0-9]{4}"),
    "M": ("month", r"[0-9]{1,2}"),
    "d": ("day", r"[0-9]{1,2}"),
    "H": ("hour", r"[0-9]{1,2}"),
    "m": ("minute", r"[0-9]{1,2}"),
    "s": ("second", r"[0-9]{1,2}"),
    "S": ("millisecond", r"[0-9]{1,3}"),
}
_PIECE = re.compile(r"([A-Za-z])\1*|''|'(?:[^']|'')*'|[^A-Za-z']+", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function: how many arguments it takes, and what it gives for them."""

    least: int
    most: int
    call: Callable[[Sequence[Value], datetime], Value]


def _unix_timestamp(values: Sequence[Value], now: datetime) -> Value:
    """Seconds since 1970 of now, or of a text; NULL for what is no such date."""
    if not values:
        return Decimal(int(now.timestamp()))
    when, pattern = values[0], values[1] if len(values) > 1 else _USUAL
    if not isinstance(when, str) or not isinstance(pattern, str):
        return None
    try:
        match = date_pattern(pattern).match(when.strip())
    except ValueError:
        match = None
    if match is None:
        return None
    parts = {name: int(found) for name, found in match.groupdict("0").items()}
    parts["microsecond"] = parts.pop("millisecond", 0) * 1000
    try:
        moment = datetime(**{"year": 1970, "month": 1, "day": 1, **parts}, tzinfo=UTC)
    except ValueError:
        return None
    return Decimal(int(moment.timestamp()))


@lru_cache(maxsize=64)
def date_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of Java's SimpleDateFormat as one of Python's; raises ValueError."""
    pieces: list[str] = []
    for match in _PIECE.finditer(pattern):
        part = match[0]
        if part == "''":
            pieces.append("'")
        elif part.startswith("'"):
            pieces.append(re.escape(part[1:-1].replace("''", "'")))
        elif not part[0].isalpha():
            pieces.append(re.escape(part))
        elif part[0] not in _DATE_LETTERS:
            known = ", ".join(_DATE_LETTERS)
            raise ValueError(f"the date pattern {pattern!r} has {part!r}; known: {known}")
        else:
            name, digits = _DATE_LETTERS[part[0]]
            pieces.append(f"(?P<{name}>{digits})")
    try:
        return re.compile("".join(pieces))
    except re.error as error:
        raise ValueError(f"the date pattern {pattern!r} cannot be used: {error}") from None


def _of_text(change: Callable[[str], Value]) -> Callable[[Sequence[Value], datetime], Value]:
    def call(values: Sequence[Value], _now: datetime) -> Value:
        found = text(values[0])
        return None if found is None else change(found)

    return call


def _coalesce(values: Sequence[Value], _now: datetime) -> Value:
    return next((value for value in values if value is not None), None)


_LOWER = Function(least=1, most=1, call=_of_text(str.lower))
_UPPER = Function(least=1, most=1, call=_of_text(str.upper))
FUNCTIONS = {
    "COALESCE": Function(least=1, most=255, call=_coalesce),
    "LCASE": _LOWER,
    "LENGTH": Function(least=1, most=1, call=_of_text(lambda found: Decimal(len(found)))),
    "LOWER": _LOWER,
    "NVL": Function(least=2, most=2, call=_coalesce),
    "TRIM": Function(least=1, most=1, call=_of_text(lambda found: found.strip(" "))),
    "UCASE": _UPPER,
    "UNIX_TIMESTAMP": Function(least=0, most=2, call=_unix_timestamp),
    "UPPER": _UPPER,
}
