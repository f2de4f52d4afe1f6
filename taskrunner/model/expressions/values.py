"""What expressions compute with, how it is printed, and how text becomes a date or a number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from taskrunner.model.document import Ref
from taskrunner.model.times import parse_datetime

#: One value; a list is a tuple of these. Dates are aware, in UTC unless inTimeZone moved them.
Scalar = str | int | float | datetime | Ref

#: Characters that one value may have, so that fields that repeat each other cannot fill memory.
MAX_TEXT = 1_000_000

_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d{1,30}\.\d{0,30}|\.\d{1,30})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Values:
    """What an expression, or a part of one, comes to; `secret` tells what of it is not to be told.

    It is a type of its own, not a tuple, so that nothing can be computed from values without a
    thought for it: whatever is made of something secret is secret.
    """

    items: tuple[Scalar, ...]
    #: The secret texts that went into these values; None: there is nothing secret about them.
    secret: frozenset[str] | None = None

    @classmethod
    def hidden(cls, items: tuple[Scalar, ...], more: Iterable[str] = ()) -> Values:
        """Values that are secrets themselves, besides what is secret in them already."""
        return cls(items, frozenset(filter(None, map(render, items))).union(more))


def secret_of(some: Iterable[Values]) -> frozenset[str] | None:
    """What is secret in any of them."""
    found = [values.secret for values in some if values.secret is not None]
    return frozenset().union(*found) if found else None


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


#: What a value for a parameter of a function has to be.
WANTED: Mapping[str, str] = {
    "DateTime": "a date and time as YYYY-MM-DDTHH:MM:SS (UTC)",
    "int": "a whole number",
    "String": "text",
}
#: Parameter type of a function -> how a value becomes one; raises ValueError with a sentence.
COERCIONS: Mapping[str, Callable[[Scalar], Scalar]] = {
    "DateTime": _date,
    "int": _integer,
    "String": render,
}
