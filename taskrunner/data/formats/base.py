"""What a data format does for the activities; third parties register theirs alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from taskrunner.data.formats.bad_rows import BadRows
from taskrunner.data.formats.charset import UTF_8, Charset
from taskrunner.data.formats.quoting import TextDialect
from taskrunner.model.task import TaskObject

__all__ = ["Column", "Format", "Opened", "RowWriter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of rows that are written: its type as whoever reads them has it, or empty."""

    name: str
    type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A file that is read."""

    #: The columns' names, where the format or the file says them.
    columns: tuple[str, ...]
    batches: Iterator[Sequence[Sequence[str | None]]]
    #: Called when no more is read.
    close: Callable[[], object] = field(default=lambda: None)


class RowWriter:
    """The bytes of one file: what is before its rows, of its rows, and what is behind them."""

    def __init__(self, form: Format) -> None:
        self._form = form

    def begin(self) -> bytes:
        """What a file begins with, even one without any rows."""
        return b""

    def encode(self, batch: Iterable[Sequence[str | None]]) -> bytes:
        """The bytes of some rows; empty as long as the format keeps them back."""
        return self._form.encode(batch)

    def end(self) -> bytes:
        """What a file ends with."""
        return b""


class Format(ABC):
    """One way to write rows of text or NULL as bytes; equal formats write the same bytes."""

    #: What the names of files in this format end in, with its dot.
    extension: ClassVar[str] = ""
    #: Whether files may be compressed: not those that are so inside.
    compressible: ClassVar[bool] = True
    #: The columns' names, where the format object gives them.
    columns: tuple[str, ...] = ()
    #: What files are written in; `encode` and `decode` are of UTF-8 in any case.
    charset: Charset = UTF_8

    @property
    def has_names(self) -> bool:
        """Whether a file tells the names of its columns."""
        return False

    @property
    def text(self) -> TextDialect | None:
        """The dialect, where the format is nothing but it: rows may then pass as whole lines."""
        return None

    @property
    def is_joinable(self) -> bool:
        """Whether what is written apart makes one file when it is put together."""
        return self.charset.is_utf8 and not self.has_names

    @classmethod
    @abstractmethod
    def from_object(cls, described: TaskObject | None) -> Format:
        """Read a data format object, None for all defaults; raises PermanentTaskError."""

    @abstractmethod
    def encode(self, batch: Iterable[Sequence[str | None]]) -> bytes:
        """The bytes of some rows."""

    @abstractmethod
    def decode(
        self, chunks: Iterable[bytes], *, source: str
    ) -> Iterator[Sequence[Sequence[str | None]]]:
        """The rows, in batches; raises TaskError that names `source` and the row."""

    def writer(self, columns: Sequence[Column]) -> RowWriter:
        """What writes a file of rows with these columns, of which the names may be all there is.

        Raises PermanentTaskError where it takes more than is known of them.
        """
        return RowWriter(self)

    def take_names(
        self, chunks: Iterable[bytes], *, source: str
    ) -> tuple[tuple[str, ...], Iterator[bytes]]:
        """The names that a file begins with, and the rest of it, which is nothing but rows."""
        return (), iter(chunks)

    def open(
        self,
        chunks: Iterable[bytes],
        *,
        source: str,
        names: tuple[str, ...] = (),
        bad: BadRows | None = None,
    ) -> Opened:
        """A file's columns and rows; `names`: those that the rows' values are wanted for.

        `bad`: takes the rows that cannot be read, where the format can go on behind them.
        """
        return Opened(columns=self.columns, batches=iter(self.decode(chunks, source=source)))
