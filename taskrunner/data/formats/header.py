"""Delimited text, in whatever dialect: its first row may be its columns' names."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from taskrunner.data.formats.bad_rows import BadRows
from taskrunner.data.formats.base import Column, Format, Opened, RowWriter
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

#: A longer first row is no row of names.
_MOST_IN_HEADER = 16 << 20


class _NamesFirst(RowWriter):
    """Writes a row of names before the others."""

    def __init__(self, form: Format, names: Sequence[str]) -> None:
        super().__init__(form)
        self._names = names

    def begin(self) -> bytes:
        """The row of names, which is there without any others, too."""
        return self.encode([self._names])


class DelimitedText(Format):
    """Rows of values between separators."""

    #: Whether the first row of a file is its columns' names.
    header: bool = False

    @property
    def has_names(self) -> bool:
        """Where there is a row of them."""
        return self.header

    @abstractmethod
    def first_end(self, data: bytes) -> int:
        """Where the first row ends in some bytes; 0: not in these."""

    @abstractmethod
    def rows(
        self,
        chunks: Iterable[bytes],
        *,
        source: str,
        width: int | None,
        lines_before: int = 0,
        bad: BadRows | None = None,
    ) -> Iterator[Sequence[Sequence[str | None]]]:
        """The rows of a file without its names, in batches; `width`: how many values each has."""

    def writer(self, columns: Sequence[Column]) -> RowWriter:
        """Also of the names, which have to be known then."""
        names = self.columns or tuple(column.name for column in columns)
        if not self.header:
            return RowWriter(self)
        if not names:
            message = "a header is wanted, but the columns' names are not known: list them in the "
            message += "data format's field 'column'"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        return _NamesFirst(self, names)

    def take_names(
        self, chunks: Iterable[bytes], *, source: str
    ) -> tuple[tuple[str, ...], Iterator[bytes]]:
        """The first row, where it is one of names; an empty file has none."""
        rest = iter(chunks)
        if not self.header:
            return (), rest
        data, end = b"", 0
        for chunk in rest:
            data += chunk
            end = self.first_end(data)
            if end or len(data) > _MOST_IN_HEADER:
                break
        end = end or len(data)
        found = [
            row for batch in self.rows([data[:end]], source=source, width=None) for row in batch
        ]
        names = tuple(found[0]) if found else ()
        return _checked(names, source), chain([data[end:]], rest)

    def decode(
        self, chunks: Iterable[bytes], *, source: str
    ) -> Iterator[Sequence[Sequence[str | None]]]:
        """The rows, in batches; every row must have as many values as the first."""
        yield from self.open(chunks, source=source).batches

    def open(
        self,
        chunks: Iterable[bytes],
        *,
        source: str,
        names: tuple[str, ...] = (),
        bad: BadRows | None = None,
    ) -> Opened:
        """Rows are numbered from 1, whether there is a row of names before them or not."""
        found, rest = self.take_names(chunks, source=source)
        columns = self.columns or found
        before = 1 if found else 0
        return Opened(columns=columns, batches=self._rest(rest, source, columns, before, bad))

    def _rest(
        self,
        chunks: Iterable[bytes],
        source: str,
        columns: tuple[str, ...],
        before: int,
        bad: BadRows | None,
    ) -> Iterator[Sequence[Sequence[str | None]]]:
        # Only now, since who puts bad rows aside learns late how wide the others are.
        width = len(columns) or (bad.width if bad is not None else None)
        yield from self.rows(chunks, source=source, width=width, lines_before=before, bad=bad)


def _checked(names: Sequence[str | None], source: str) -> tuple[str, ...]:
    found: list[str] = []
    for position, name in enumerate(names, 1):
        if not name:
            raise TaskError(f"{source}: its header has no name for column {position}")
        if name in found:
            raise TaskError(f"{source}: its header has the name {name!r} twice")
        found.append(name)
    return tuple(found)
