r"""Lines of RFC 4180 on their way into a table, looked at without being taken apart.

As `lines_in`: a piece of a file goes on as it is when a regular expression says that each of its
rows has the table's columns, with values that these keep, as the server reads them. Any other one
is taken apart, and its rows are given to the server in the text of its own COPY, which can say what
no quotes can: a line that is nothing but `\.` would end the data of servers before PostgreSQL 18,
in quotes, too.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence

from taskrunner.data.databases.base import Target, TargetColumn
from taskrunner.data.databases.lines_in import (
    IN_NUMBERS,
    MOST_COUNTED,
    NUMBERS,
    FileRows,
    LinesIn,
    RowPattern,
    all_but,
    is_utf8,
)
from taskrunner.data.databases.text import MOST_IN_VALUE, Lines, Pace
from taskrunner.data.fitting.texts import Length
from taskrunner.data.formats.encoding import Escapes, Row
from taskrunner.data.formats.quoting import QuotedDecoder, Quoting, TextDialect

_END_OF_DATA = re.compile(rb"^\\\.\r?$", re.MULTILINE)


class QuotedLinesIn(LinesIn):
    """The pieces of a load from files in a dialect of quotes."""

    def __init__(
        self,
        source: FileRows,
        columns: Sequence[TargetColumn],
        target: Target,
        *,
        quoting: Quoting,
        written: Escapes,
        most: int = MOST_IN_VALUE,
    ) -> None:
        """`written`: how the server is given the rows of pieces that were taken apart."""
        self._quoting = quoting
        self._written = written
        self._is_plain_piece = False
        super().__init__(source, columns, target, written=written, most=most)

    def told_pieces(self) -> Iterator[tuple[TextDialect, bytes]]:
        """All that the server is given, each piece with the dialect that it is in."""
        for data in self.pieces():
            yield (self._quoting if self._is_plain_piece else self._written), data

    def _plain(self, piece: bytes, *, is_first: bool) -> Lines | None:
        lines = self._taken_as_it_is(piece, is_first=is_first)
        self._is_plain_piece = lines is not None
        return lines

    def _taken_as_it_is(self, piece: bytes, *, is_first: bool) -> Lines | None:
        if is_first:
            piece = piece.removeprefix(codecs.BOM_UTF8)
        quote = self._quoting.quote.encode()
        if b"\r\n" in piece and quote not in piece:
            piece = piece.replace(b"\r\n", b"\n")
        if self._row is None or self._width not in {None, len(self._taken)}:
            return None
        if _END_OF_DATA.search(piece) or not self._row.holds(piece) or not is_utf8(piece):
            return None
        self._width = len(self._taken)
        return Lines(piece, _rows_of(piece, quote))

    def _pattern(self) -> RowPattern | None:
        return quoted_pattern(self._taken, self._quoting)

    def _cut(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        return whole_quoted_lines(chunks, self._quoting.quote.encode(), most=self._most)

    def _decoded(
        self, piece: bytes, uri: str, before: int, width: int | None
    ) -> Iterator[Sequence[Row]]:
        decoder = QuotedDecoder(
            self._quoting,
            source=uri,
            width=width,
            most=self._most,
            rows_before=before,
            lines_before=0 if self._source.at_start else before + 1,
        )
        return iter(decoder.decode([piece]))


def _rows_of(data: bytes, quote: bytes) -> int:
    """How many rows some bytes are that are whole rows, and nothing else."""
    if quote not in data:
        return data.count(b"\n")
    # Between two quotes, and those that are doubled come to the same, is no end of a row.
    return sum(part.count(b"\n") for part in data.split(quote)[::2])


def quoted_pattern(columns: Sequence[TargetColumn], quoting: Quoting) -> RowPattern | None:
    """The pattern of a table's rows; None where the types of its columns have none."""
    values = [_value(column, quoting) for column in columns]
    if not values or None in values:
        return None
    return RowPattern([*map(str, values)], re.escape(quoting.separator))


def _value(column: TargetColumn, quoting: Quoting) -> str | None:
    quote = re.escape(quoting.quote)
    bare = all_but(quoting.quote + quoting.separator + "\r\n\0")
    inside = all_but(quoting.quote + "\0")
    # Nothing at all is NULL.
    at_least = 1 if column.null_becomes is not None else 0
    rule = column.rule
    if rule is None:
        return rf"(?:{quote}{inside}*+(?:{quote}{quote}{inside}*+)*+{quote}|{bare}{{{at_least},}}+)"
    if isinstance(rule, Length):
        # So few bytes that they are not too many characters.
        most = min(rule.most // (4 if rule.in_bytes else 1), MOST_COUNTED)
        if most < at_least:
            return None
        return rf"(?:{quote}{inside}{{0,{most}}}+{quote}|{bare}{{{at_least},{most}}}+)"
    if isinstance(rule, NUMBERS):
        if IN_NUMBERS.match(quoting.separator) or IN_NUMBERS.match(quoting.quote):
            return None
        null = "" if at_least else "|"
        return rf"(?:(?:{rule.plain})|{quote}(?:{rule.plain}){quote}{null})"
    return None


def whole_quoted_lines(
    chunks: Iterable[bytes], quote: bytes, *, most: int = MOST_IN_VALUE
) -> Iterator[bytes]:
    """Pieces of a file that end where a row ends; the last one may end in the midst of its row."""
    pace = Pace()
    kept: list[bytes] = []
    size = 0
    is_quoted = False
    for chunk in chunks:
        start = 0
        while start < len(chunk):
            some = chunk[start : start + pace.size]
            start += len(some)
            is_quoted ^= some.count(quote) % 2 == 1
            end = _end_of_row(some, quote, is_quoted=is_quoted)
            if end:
                yield b"".join([*kept, some[:end]])
                pace.grow()
                kept, size = [some[end:]], len(some) - end
            else:
                kept.append(some)
                size += len(some)
        if size > most:
            break
    if rest := b"".join(kept):
        yield rest


def _end_of_row(data: bytes, quote: bytes, *, is_quoted: bool) -> int:
    """Where the last row ends in some bytes, at whose end quotes are open or not; 0: nowhere."""
    end = len(data)
    while (found := data.rfind(b"\n", 0, end)) >= 0:
        is_quoted ^= data.count(quote, found, end) % 2 == 1
        if not is_quoted:
            return found + 1
        end = found
    return 0
