"""Values of a filter: what an attribute is to SQL, and how values compare.

NULL is None and makes what it touches unknown, which is None again. A number beside a text makes a
number of the text, as in Hive; what cannot be compared is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from functools import lru_cache

from taskrunner.data.dynamodb.items import Attribute

#: Text, number, truth value, NULL; any other attribute is an Opaque.
Scalar = str | Decimal | bool


class Opaque:
    """A value that is there and cannot be compared: a set, list, map, or bytes."""


OPAQUE = Opaque()
Value = Scalar | Opaque | None
Cast = Callable[[Value], Value]


def value_of(attribute: Attribute | None) -> Value:
    """An attribute as a value; NULL where there is none."""
    if attribute is None:
        return None
    ((kind, content),) = attribute.items()
    if kind == "S":
        return str(content)
    if kind == "N":
        return number(content)
    if kind == "BOOL":
        return bool(content)
    return None if kind == "NULL" else OPAQUE


def number(value: Value) -> Decimal | None:
    """A value as a number; NULL for what is none."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str):
        try:
            found = Decimal(value.strip())
        except InvalidOperation:
            return None
        # Numbers of DynamoDB end at 10^126: a longer one would only fill the memory.
        return found if found.is_finite() and abs(found.adjusted()) < 400 else None
    return None


def whole_number(value: Value) -> Decimal | None:
    """A value as a whole number, what is behind the point cut off."""
    found = number(value)
    return None if found is None else found.to_integral_value(ROUND_DOWN)


def text(value: Value) -> str | None:
    """A value as a text; NULL for what has none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if isinstance(value, str) else None


def truth(value: Value) -> bool | None:
    """A value as true or false; NULL for what is neither."""
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    return value if isinstance(value, bool) else None


#: What a column's type makes of an attribute.
CASTS: dict[str, Cast] = {
    "STRING": text,
    "VARCHAR": text,
    "CHAR": text,
    "BOOLEAN": truth,
    **dict.fromkeys(("TINYINT", "SMALLINT", "INT", "BIGINT"), whole_number),
    **dict.fromkeys(("FLOAT", "DOUBLE", "DECIMAL"), number),
}


def order(left: Value, right: Value) -> int | None:
    """Below zero, zero or above, as `left` stands to `right`; unknown where they do not compare."""
    if isinstance(left, Decimal) or isinstance(right, Decimal):
        first, second = number(left), number(right)
        if first is None or second is None:
            return None
        return (first > second) - (first < second)
    if isinstance(left, bool) and isinstance(right, bool):
        return left - right
    if isinstance(left, str) and isinstance(right, str):
        # By bytes, as Hive does it.
        one, other = left.encode(), right.encode()
        return (one > other) - (one < other)
    return None


def is_like(value: Value, pattern: Value) -> bool | None:
    """Whether a text is like a pattern with `%` and `_`."""
    if not isinstance(value, str) or not isinstance(pattern, str):
        return None
    first, *more = _pieces(pattern)
    if not more:
        return first.match(value, 0) == len(value)
    at = first.match(value, 0)
    for piece in more[:-1]:
        # Where a piece begins as early as it can, the rest has the most room.
        at = None if at is None else piece.find(value, at)
    if at is None:
        return False
    end = len(value) - more[-1].length
    return end >= at and more[-1].match(value, end) is not None


@dataclass(frozen=True, slots=True)
class _Piece:
    """What stands between two `%`: so many characters, some of them any."""

    length: int
    pattern: re.Pattern[str]

    def match(self, value: str, at: int) -> int | None:
        found = self.pattern.match(value, at)
        return found.end() if found else None

    def find(self, value: str, at: int) -> int | None:
        found = self.pattern.search(value, at)
        return found.end() if found else None


@lru_cache(maxsize=64)
def _pieces(like: str) -> list[_Piece]:
    pieces: list[list[str]] = [[]]
    for part in re.findall(r"\\[%_\\]|.", like, re.DOTALL):
        if part == "%":
            pieces.append([])
        elif part == "_":
            pieces[-1].append(".")
        else:
            pieces[-1].append(re.escape(part[-1]))
    return [_Piece(len(piece), re.compile("".join(piece), re.DOTALL)) for piece in pieces]
