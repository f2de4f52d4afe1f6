"""The data formats CSV, TSV and Custom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from taskrunner.data.formats.bad_rows import BadRows
from taskrunner.data.formats.base import Format
from taskrunner.data.formats.charset import UTF_8, Charset, charset_of
from taskrunner.data.formats.encoding import Decoder, Encoder, Escapes
from taskrunner.data.formats.fields import character, column_names, invalid
from taskrunner.data.formats.header import DelimitedText
from taskrunner.data.formats.quoted import Quoted, QuotedCustom, QuotedTsv
from taskrunner.model.task import TaskObject

#: More than any value that is copied, a value of bytes as its hexadecimal digits.
_MOST_IN_ROW = 256 << 20


@dataclass(frozen=True)
class Delimited(DelimitedText):
    """Values between separators, in AWS's dialect; see `encoding`."""

    default_separator: ClassVar[str | None] = ","
    #: What it is with `dialect: rfc4180`.
    quoted: ClassVar[type[Quoted]] = Quoted

    escapes: Escapes = field(default_factory=Escapes)
    columns: tuple[str, ...] = field(default=(), compare=False)
    header: bool = False
    charset: Charset = UTF_8

    @classmethod
    def from_object(cls, described: TaskObject | None) -> Format:
        """Read the dialect, the separators, the escape character and the columns' names."""
        if described is None:
            return cls()
        if _is_quoted(described):
            return cls.quoted.from_object(described)
        separator = character(described, "columnSeparator", cls.default_separator)
        escapes = Escapes(
            separator=separator,
            record_separator=character(described, "recordSeparator", "\n"),
            escape=character(described, "escapeChar", "\\"),
        )
        _check(described, escapes)
        return cls(
            escapes=escapes,
            columns=column_names(described.all("column")),
            header=described.flag("header", default=False),
            charset=charset_of(described),
        )

    @property
    def text(self) -> Escapes | None:
        """The dialect; a plugin's own kind of it may write something else."""
        kind = type(self)
        own = kind.encode is Delimited.encode and kind.decode is Delimited.decode
        return self.escapes if own else None

    def encode(self, batch: Iterable[Sequence[str | None]]) -> bytes:
        """The bytes of some rows."""
        return Encoder(self.escapes).encode(batch)

    def rows(
        self,
        chunks: Iterable[bytes],
        *,
        source: str,
        width: int | None,
        lines_before: int = 0,
        bad: BadRows | None = None,
    ) -> Iterator[list[Sequence[str | None]]]:
        """The rows, in batches."""
        decoder = Decoder(
            self.escapes,
            source=source,
            width=width,
            bad=bad,
            most=_MOST_IN_ROW,
            at_start=not lines_before,
        )
        return decoder.decode(chunks)

    def first_end(self, data: bytes) -> int:
        """Behind the first separator of rows that no escape character makes a part of a value."""
        separator, escape = self.escapes.record_separator.encode(), self.escapes.escape.encode()
        end = -1
        while (end := data.find(separator, end + 1)) >= 0:
            start = end
            while data[max(start - len(escape), 0) : start] == escape:
                start -= len(escape)
            if (end - start) // len(escape) % 2 == 0:
                return end + len(separator)
        return 0

    def __eq__(self, other: object) -> bool:
        """Whether the bytes would be the same; the type's name and the columns do not matter."""
        return isinstance(other, Delimited) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)

    @property
    def _bytes(self) -> tuple[object, ...]:
        return self.escapes, self.header, self.charset


class Csv(Delimited):
    """Commas and newlines."""

    extension = ".csv"


@dataclass(frozen=True, eq=False)
class Tsv(Delimited):
    """Tabs and newlines."""

    extension: ClassVar[str] = ".tsv"
    default_separator: ClassVar[str | None] = "\t"
    quoted: ClassVar[type[Quoted]] = QuotedTsv

    escapes: Escapes = field(default_factory=lambda: Escapes(separator="\t"))


class Custom(Delimited):
    """Whatever the object says; it must say the column separator."""

    extension = ".txt"
    default_separator = None
    quoted = QuotedCustom


def _is_quoted(described: TaskObject) -> bool:
    """Whether values are quoted rather than escaped: the field `dialect`."""
    dialect = described.get("dialect", "aws") or ""
    if dialect.lower() not in {"aws", "rfc4180"}:
        raise invalid(described, f"field 'dialect': found {dialect!r}, wanted aws or rfc4180")
    is_quoted = dialect.lower() == "rfc4180"
    if not is_quoted and described.get("quote") is not None:
        raise invalid(described, "field 'quote' needs the dialect rfc4180: aws knows no quotes")
    return is_quoted


def _check(described: TaskObject, escapes: Escapes) -> None:
    characters = (escapes.separator, escapes.record_separator, escapes.escape)
    if len(set(characters)) < len(characters):
        raise invalid(described, "the separators and the escape character must differ")
    if "N" in characters or "\\" in characters[:2]:
        raise invalid(described, r"'N' and '\' make up NULL, so they cannot separate")
