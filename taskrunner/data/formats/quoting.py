r"""Delimited text as RFC 4180 has it: rows of text or NULL to bytes and back, without loss.

A value that has the separator, a quote or a line end in it stands in quotes, a quote in it twice.
NULL is nothing at all, and the empty text two quotes: so PostgreSQL's `\copy ... csv` writes and
reads it, and the bytes are the same but for one thing: a row that begins with a byte order mark is
quoted, since readers would skip the mark at the beginning of a file.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from taskrunner.data.formats.bad_rows import BadRow, BadRows, is_text, shown
from taskrunner.data.formats.encoding import Escapes
from taskrunner.errors import TaskError

_MARK = "\ufeff"
#: Alone in a line it is the end of the data, for PostgreSQL before version 18.
_END_OF_DATA = r"\."
#: A batch ends with the row that makes it as long as this, in rows or in characters.
_BATCH = 1000
_BATCH_LENGTH = 1 << 20
#: A longer record is taken for a file of another format, before it fills the memory.
_MOST_IN_RECORD = 64 << 20

Row = Sequence[str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoting:
    """The characters of a dialect, which differ; rows end in newlines."""

    separator: str = ","
    quote: str = '"'

    @property
    def is_plain(self) -> bool:
        """Whether servers know these characters."""
        return (self.separator + self.quote).isascii()


TextDialect = Escapes | Quoting


class QuotedEncoder:
    """Rows to bytes in UTF-8."""

    def __init__(self, quoting: Quoting) -> None:
        self._separator, self._quote = quoting.separator, quoting.quote
        marks = re.escape(quoting.quote) + "\r\n"
        self._special = re.compile(f"[{marks}]")
        self._to_quote = re.compile(f"[{marks}{re.escape(quoting.separator)}]")

    def encode(self, batch: Iterable[Row]) -> bytes:
        """The bytes of some rows, each with its newline."""
        separator, special = self._separator, self._special.search
        lines = []
        for row in batch:
            try:
                line = separator.join(row)  # type: ignore[arg-type]  # NULLs take the other way
            except TypeError:
                line = self._careful(row)
            else:
                simple = line.count(separator) == len(row) - 1 and "" not in row
                if not simple or special(line) or line.startswith(_MARK) or line == _END_OF_DATA:
                    line = self._careful(row)
            lines.append(line)
        lines.append("")
        return "\n".join(lines).encode()

    def _careful(self, row: Row) -> str:
        values = list(map(self._value, row))
        first = row[0]
        if first and (first.startswith(_MARK) or (len(row) == 1 and first == _END_OF_DATA)):
            values[0] = self._quoted(first)
        return self._separator.join(values)

    def _value(self, value: str | None) -> str:
        if value is None:
            return ""
        return self._quoted(value) if not value or self._to_quote.search(value) else value

    def _quoted(self, value: str) -> str:
        quote = self._quote
        return f"{quote}{value.replace(quote, quote * 2)}{quote}"


class QuotedDecoder:
    """Bytes in UTF-8 to rows; `source` names them in errors."""

    def __init__(
        self,
        quoting: Quoting,
        *,
        source: str,
        width: int | None = None,
        most: int = _MOST_IN_RECORD,
        rows_before: int = 0,
        lines_before: int = 0,
        bad: BadRows | None = None,
    ) -> None:
        """`most`: how many characters a record may have; `..._before`: of the same source.

        `bad`: takes the rows that cannot be read; without it the first one is an error.
        """
        self._bad_rows = bad
        self._separator, self._quote = quoting.separator, quoting.quote
        self._source = source
        self._width = width
        self._most = most
        self._rows = rows_before
        self._lines = max(lines_before, rows_before)
        self._may_be_mark = not self._lines
        quote, separator = re.escape(quoting.quote), re.escape(quoting.separator)
        self._value = re.compile(
            f"(?:{quote}([^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+){quote}"
            f"|([^{quote}{separator}\r]*+))(?:({separator})|\\Z)"
        )
        #: The text of a record whose end has not come yet, and its length; its quotes are odd.
        self._open: list[str] = []
        self._length = 0
        self._is_quoted = False

    def decode(self, chunks: Iterable[bytes]) -> Iterator[list[Row]]:
        """The rows in batches; raises TaskError with the row's number at the first bad one."""
        errors = "strict" if self._bad_rows is None else "surrogateescape"
        utf8 = codecs.getincrementaldecoder("utf-8")(errors)
        batch: list[Row] = []
        room = _BATCH_LENGTH
        for chunk in chain(chunks, [None]):
            for record in self._records(self._text(utf8, chunk)):
                batch += self._rows_of(record)
                room -= len(record)
                if room <= 0 or len(batch) >= _BATCH:
                    yield batch
                    batch, room = [], _BATCH_LENGTH
        if self._is_quoted:
            raise self._bad("has quotes that are not closed before the file ends", self._column())
        if self._open:
            batch += self._rows_of("".join(self._open))
        if batch:
            yield batch

    def _rows_of(self, record: str) -> tuple[Row, ...]:
        """The row of a record; none where it is put aside."""
        if self._bad_rows is None:
            return (self._row(record),)
        try:
            if not is_text(record):
                raise self._bad("is not UTF-8 text")
            return (self._row(record),)
        except TaskError as error:
            reason = str(error)
        line = self._lines + 1
        self._rows += 1
        self._lines += 1 + record.count("\n")
        self._bad_rows.add(
            BadRow(
                source=self._source, row=self._rows, line=line, reason=reason, text=shown(record)
            )
        )
        return ()

    def _text(self, utf8: codecs.IncrementalDecoder, chunk: bytes | None) -> str:
        try:
            text = utf8.decode(chunk or b"", chunk is None)
        except UnicodeDecodeError as error:
            found = error.object[error.start : error.end].hex(" ")
            before = error.object[: error.start].decode()
            for record in self._records(before):
                self._row(record)
            raise self._bad(f"is not UTF-8 text (bytes {found})", self._column()) from error
        if text and self._may_be_mark:
            self._may_be_mark = False
            return text.removeprefix(_MARK)
        return text

    def _records(self, text: str) -> Iterator[str]:
        """Every record that ends in this text, without its newline."""
        quote = self._quote
        *pieces, rest = text.split("\n")
        for piece in pieces:
            if piece.count(quote) % 2:
                self._is_quoted = not self._is_quoted
            if self._is_quoted:
                self._keep(piece + "\n")
                continue
            record = piece
            if self._open:
                record = "".join([*self._open, piece])
                self._open, self._length = [], 0
            yield record
        if rest:
            if rest.count(quote) % 2:
                self._is_quoted = not self._is_quoted
            self._keep(rest)

    def _keep(self, piece: str) -> None:
        self._open.append(piece)
        self._length += len(piece)
        if self._length > self._most:
            why = "; its quotes are not closed" if self._is_quoted else ""
            raise self._bad(f"has no end within {self._most >> 20} MiB{why}", self._column())

    def _column(self) -> int:
        """The number of the value that what is open ends in."""
        record, position, column = "".join(self._open), 0, 1
        while (found := self._value.match(record, position)) and found[3] is not None:
            position, column = found.end(), column + 1
        return column

    def _row(self, record: str) -> Row:
        record = record.removesuffix("\r")
        row: list[str | None]
        if self._quote in record or "\r" in record:
            row = self._careful(record)
        else:
            row = [value or None for value in record.split(self._separator)]
        if len(row) != self._width:
            if self._width is not None:
                raise self._bad(f"has {len(row)} values, wanted {self._width}")
            self._width = len(row)
        self._rows += 1
        self._lines += 1 + record.count("\n")
        return row

    def _careful(self, record: str) -> list[str | None]:
        row: list[str | None] = []
        quote, position = self._quote, 0
        while True:
            found = self._value.match(record, position)
            if found is None:
                raise self._bad(self._problem(record, position), len(row) + 1)
            inside, plain, more = found.groups()
            row.append((plain or None) if inside is None else inside.replace(quote * 2, quote))
            if more is None:
                return row
            position = found.end()

    def _problem(self, record: str, position: int) -> str:
        """What is wrong with the value that begins there."""
        rest = record[position:]
        if rest.startswith(self._quote):
            return "has text behind a quote that closes its value"
        text = rest.split(self._separator, 1)[0]
        if "\r" in text.partition(self._quote)[0]:
            return "has a carriage return outside of quotes"
        return "has a quote in a value that does not begin with one"

    def _bad(self, problem: str, column: int | None = None) -> TaskError:
        line = f" (line {self._lines + 1})" if self._lines != self._rows else ""
        where = f", column {column}," if column is not None else ""
        return TaskError(f"{self._source}: row {self._rows + 1}{line}{where} {problem}")
