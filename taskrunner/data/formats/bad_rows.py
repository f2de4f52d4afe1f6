"""Rows that cannot be read, where the author wants them put aside rather than the copy to fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that is put aside."""

    source: str
    #: Its number, from 1.
    row: int
    reason: str
    #: The line that it begins in, where lines are not rows.
    line: int | None = None
    #: As it is in its file; None: it has only values.
    text: str | None = None
    values: tuple[str | None, ...] | None = None


@dataclass(slots=True, kw_only=True)
class BadRows:
    """What a reader does with rows that it cannot read."""

    #: Told of each; raises when there are too many.
    tell: Callable[[BadRow], None]
    #: How many values each row must have; None: as many as the first one.
    width: int | None = None
    #: The numbers of those of each source.
    numbers: dict[str, list[int]] = field(default_factory=dict)

    def add(self, bad: BadRow) -> None:
        """Put a row aside."""
        self.numbers.setdefault(bad.source, []).append(bad.row)
        self.tell(bad)

    def number_of(self, source: str, good: int) -> int:
        """The number in its source of a row that can be read: of these it is the `good`-th."""
        number = good
        for bad in sorted(self.numbers.get(source, ())):
            if bad > number:
                break
            number += 1
        return number


def shown(text: str) -> str:
    """A text that was read with what is no UTF-8 in it, so that it can be written."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_text(text: str) -> bool:
    """Whether it had nothing in it that is no UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
