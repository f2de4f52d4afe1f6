"""What expressions compute with, how it is printed, and how text becomes a date or a number."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from taskrunner.model.document import Ref
from taskrunner.model.times import parse_datetime

#: One value; a list is a tuple of these. Dates are aware, in UTC unless inTimeZone moved them.
Scalar = str | int | float | datetime | Ref

#: Characters that one value may have, so that fields that repeat each other cannot fill memory.
MAX_TEXT = 1_000_000

_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d{1,30}\.\d{0,30}|\.\d{1,30})", re.ASCII)


class Component(Ref):
    """A reference to the author's own object, whose @id is the author's id."""

    __slots__ = ()


def render(value: Scalar) -> str:
    """The value as text. A date prints its wall clock in its own zone, without the zone."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat("T", "seconds")
    return repr(value) if isinstance(value, int | float) else value.id


def as_number(value: Scalar) -> int | float | None:
    """The number that a value is, or that its text spells; none when it is not one."""
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        return None
    text = value.strip()
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else None


def _date(value: Scalar) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    if not isinstance(value, str):
        raise ValueError(f"found {render(value)!r}, wanted a date")  # noqa: TRY004
    return parse_datetime(value)


def _integer(value: Scalar) -> int:
    number = as_number(value)
    if number is None or number != int(number):
        raise ValueError(f"found {render(value)!r}, wanted a whole number")
    return int(number)


#: Parameter type of a function -> how a value becomes one; raises ValueError with a sentence.
COERCIONS: Mapping[str, Callable[[Scalar], Scalar]] = {
    "DateTime": _date,
    "int": _integer,
    "String": render,
}
