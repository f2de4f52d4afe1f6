"""Rows that go to and from a database as the bytes of a delimited text, none of them an object.

Only what is plain goes this way: a driver that cannot promise the very bytes that the way by rows
would write (or the very values that it would load) says so, and the rows take that way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from taskrunner.data.formats.quoting import Quoting, TextDialect
from taskrunner.errors import ErrorId, PermanentTaskError

#: A longer value is refused, before copies of it fill the memory.
MOST_IN_VALUE = 256 << 20


class NotAsText(Exception):
    """What was begun as text has to be done by rows, from its start; nothing of it counts."""


class Pace:
    """How much is passed on at a time: little at first, so that whoever waits sees it begin."""

    _MOST = 1 << 18

    def __init__(self) -> None:
        self.size = 1 << 12

    def grow(self) -> None:
        """After each piece: large ones take fewer steps of Python's."""
        self.size = min(2 * self.size, self._MOST)


@dataclass(frozen=True, slots=True)
class Lines:
    """Some rows: whole lines of a text, each with its end."""

    data: bytes
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextResult:
    """A query's answer; it can be read once, while the query's block lasts."""

    columns: tuple[str, ...]
    lines: Iterator[Lines]


def check_line(
    line: bytes, columns: Sequence[str], dialect: TextDialect, *, where: str, most: int
) -> None:
    """Raise PermanentTaskError when one of a line's values is too long; `where` names the row."""
    parts: list[bytes] = []
    position = 0
    for part in line.split(dialect.separator.encode()):
        parts.append(part)
        if _goes_on(part, parts, dialect):
            continue
        if (size := sum(map(len, parts)) + len(parts) - 1) > most:
            name = repr(columns[position])
            message = f"{where}, column {name} has {size:,} bytes, wanted at most {most:,}"
            raise PermanentTaskError(message, error_id=ErrorId.ACTIVITY_FAILED)
        parts = []
        position += 1


def _goes_on(part: bytes, parts: Sequence[bytes], dialect: TextDialect) -> bool:
    """Whether the separator behind a part of a value belongs to it."""
    if isinstance(dialect, Quoting):
        return sum(one.count(dialect.quote.encode()) for one in parts) % 2 == 1
    return (len(part) - len(part.rstrip(b"\\"))) % 2 == 1
