"""What a data format does for the activities; third parties register theirs alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Self

from taskrunner.data.formats.encoding import Escapes
from taskrunner.model.task import TaskObject

__all__ = ["Format"]


class Format(ABC):
    """One way to write rows of text or NULL as bytes; equal formats write the same bytes."""

    #: What the names of files in this format end in, with its dot.
    extension: ClassVar[str] = ""
    #: The columns' names, where the format object gives them.
    columns: tuple[str, ...] = ()

    @property
    def text(self) -> Escapes | None:
        """The dialect, where the format is nothing but it: rows may then pass as whole lines."""
        return None

    @classmethod
    @abstractmethod
    def from_object(cls, described: TaskObject | None) -> Self:
        """Read a data format object, None for all defaults; raises PermanentTaskError."""

    @abstractmethod
    def encode(self, batch: Iterable[Sequence[str | None]]) -> bytes:
        """The bytes of some rows."""

    @abstractmethod
    def decode(
        self, chunks: Iterable[bytes], *, source: str
    ) -> Iterator[Sequence[Sequence[str | None]]]:
        """The rows, in batches; raises TaskError that names `source` and the row."""
