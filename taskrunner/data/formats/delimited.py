"""The data formats CSV, TSV and Custom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

from taskrunner.data.formats.base import Format
from taskrunner.data.formats.encoding import Decoder, Encoder, Escapes
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.task import TaskObject

#: How authors write a character that JSON does not show well.
_SPELLED = {r"\t": "\t", r"\n": "\n", r"\r": "\r", r"\0": "\0", r"\\": "\\"}
_CODE_POINT = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))")
#: More than any value that is copied, a value of bytes as its hexadecimal digits.
_MOST_IN_ROW = 256 << 20
_BETWEEN_COLUMNS = re.compile(r",(?![^(]*\))")


@dataclass(frozen=True)
class Delimited(Format):
    """Values between separators, in AWS's dialect; see `encoding`."""

    default_separator: ClassVar[str | None] = ","

    escapes: Escapes = field(default_factory=Escapes)
    columns: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_object(cls, described: TaskObject | None) -> Self:
        """Read the separators, the escape character and the columns' names."""
        if described is None:
            return cls()
        separator = _character(described, "columnSeparator", cls.default_separator)
        escapes = Escapes(
            separator=separator,
            record_separator=_character(described, "recordSeparator", "\n"),
            escape=_character(described, "escapeChar", "\\"),
        )
        _check(described, escapes)
        return cls(escapes=escapes, columns=column_names(described.all("column")))

    @property
    def text(self) -> Escapes | None:
        """The dialect; a plugin's own kind of it may write something else."""
        kind = type(self)
        own = kind.encode is Delimited.encode and kind.decode is Delimited.decode
        return self.escapes if own else None

    def encode(self, batch: Iterable[Sequence[str | None]]) -> bytes:
        """The bytes of some rows."""
        return Encoder(self.escapes).encode(batch)

    def decode(
        self, chunks: Iterable[bytes], *, source: str
    ) -> Iterator[list[Sequence[str | None]]]:
        """The rows, in batches; every row must have as many values as the first."""
        width = len(self.columns) or None
        decoder = Decoder(self.escapes, source=source, width=width, most=_MOST_IN_ROW)
        return decoder.decode(chunks)

    def __eq__(self, other: object) -> bool:
        """Whether the bytes would be the same; the type's name and the columns do not matter."""
        return isinstance(other, Delimited) and self.escapes == other.escapes

    def __hash__(self) -> int:
        return hash(self.escapes)


class Csv(Delimited):
    """Commas and newlines."""

    extension = ".csv"


@dataclass(frozen=True, eq=False)
class Tsv(Delimited):
    """Tabs and newlines."""

    extension: ClassVar[str] = ".tsv"
    default_separator: ClassVar[str | None] = "\t"

    escapes: Escapes = field(default_factory=lambda: Escapes(separator="\t"))


class Custom(Delimited):
    """Whatever the object says; it must say the column separator."""

    extension = ".txt"
    default_separator = None


def _character(described: TaskObject, key: str, default: str | None) -> str:
    value = described.get(key, default)
    if value is None:
        value = described.required(key)
    match = _CODE_POINT.fullmatch(value)
    character = chr(int(match[1] or match[2], 16)) if match else _SPELLED.get(value, value)
    if len(character) != 1:
        raise _invalid(described, f"field {key!r}: found {value!r}, wanted a single character")
    return character


def _check(described: TaskObject, escapes: Escapes) -> None:
    characters = (escapes.separator, escapes.record_separator, escapes.escape)
    if len(set(characters)) < len(characters):
        raise _invalid(described, "the separators and the escape character must differ")
    if "N" in characters or "\\" in characters[:2]:
        raise _invalid(described, r"'N' and '\' make up NULL, so they cannot separate")


def column_names(values: Sequence[str]) -> tuple[str, ...]:
    """The names in `name TYPE`, or `name TYPE, name TYPE`."""
    described = [part.strip() for value in values for part in _BETWEEN_COLUMNS.split(value)]
    return tuple(part.split()[0].strip('`"') for part in described if part)


def _invalid(described: TaskObject, problem: str) -> PermanentTaskError:
    message = f"{described.type} {described.component_id!r}: {problem}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
