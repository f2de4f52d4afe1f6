"""CSV, TSV and Custom with `dialect: rfc4180`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from taskrunner.data.formats.bad_rows import BadRows
from taskrunner.data.formats.base import Format
from taskrunner.data.formats.charset import UTF_8, Charset, charset_of
from taskrunner.data.formats.fields import character, column_names, invalid
from taskrunner.data.formats.header import DelimitedText
from taskrunner.data.formats.quoting import QuotedDecoder, QuotedEncoder, Quoting, TextDialect
from taskrunner.model.task import TaskObject

#: More than any value that is copied, a value of bytes as its hexadecimal digits.
_MOST_IN_ROW = 256 << 20


@dataclass(frozen=True)
class Quoted(DelimitedText):
    """Values between separators, some of them in quotes; see `quoting`."""

    extension: ClassVar[str] = ".csv"
    default_separator: ClassVar[str | None] = ","

    quoting: Quoting = field(default_factory=Quoting)
    columns: tuple[str, ...] = field(default=(), compare=False)
    header: bool = False
    charset: Charset = UTF_8

    @classmethod
    def from_object(cls, described: TaskObject | None) -> Format:
        """Read the separator, the quote and the columns' names."""
        if described is None:
            return cls(quoting=Quoting(separator=cls.default_separator or ","))
        return cls(
            quoting=_quoting(
                described, character(described, "columnSeparator", cls.default_separator)
            ),
            columns=column_names(described.all("column")),
            header=described.flag("header", default=False),
            charset=charset_of(described),
        )

    @property
    def text(self) -> TextDialect | None:
        """The dialect."""
        return self.quoting

    def encode(self, batch: Iterable[Sequence[str | None]]) -> bytes:
        """The bytes of some rows."""
        return QuotedEncoder(self.quoting).encode(batch)

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
        decoder = QuotedDecoder(
            self.quoting,
            source=source,
            width=width,
            bad=bad,
            most=_MOST_IN_ROW,
            lines_before=lines_before,
        )
        return decoder.decode(chunks)

    def first_end(self, data: bytes) -> int:
        """Behind the first newline that is in no quotes."""
        quote, end = self.quoting.quote.encode(), 0
        quotes = 0
        while (found := data.find(b"\n", end)) >= 0:
            quotes += data.count(quote, end, found)
            end = found + 1
            if quotes % 2 == 0:
                return end
        return 0

    def __eq__(self, other: object) -> bool:
        """Whether the bytes would be the same; the type's name and the columns do not matter."""
        return isinstance(other, Quoted) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)

    @property
    def _bytes(self) -> tuple[object, ...]:
        return self.quoting, self.header, self.charset


class QuotedTsv(Quoted):
    """With tabs between values, unless it says otherwise."""

    extension = ".tsv"
    default_separator = "\t"


class QuotedCustom(Quoted):
    """With the separator that it says."""

    extension = ".txt"
    default_separator = None


def _quoting(described: TaskObject, separator: str) -> Quoting:
    quote = character(described, "quote", '"')
    if described.get("escapeChar") is not None:
        raise invalid(described, "field 'escapeChar': the dialect rfc4180 doubles quotes instead")
    if character(described, "recordSeparator", "\n") != "\n":
        raise invalid(described, "field 'recordSeparator': rows of rfc4180 end in newlines")
    if quote == separator or {quote, separator} & {"\r", "\n", "\0"}:
        raise invalid(described, "the separator, the quote and line ends must differ")
    return Quoting(separator=separator, quote=quote)
