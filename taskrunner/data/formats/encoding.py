r"""AWS's delimited text: rows of text or NULL to bytes and back, without loss.

A value is never quoted. The escape character stands before each separator, line end and escape
character that belongs to a value. NULL is `\N`, and the text that reads so gets an escape
character in front of it, so NULL, the empty text and that text stay apart.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from taskrunner.data.formats.bad_rows import BadRow, BadRows, is_text, shown
from taskrunner.errors import TaskError

NULL = r"\N"
_BYTE_ORDER_MARK = "\ufeff"
#: A batch ends with the row that makes it as long as this, in rows or in characters.
_BATCH = 1000
_BATCH_LENGTH = 1 << 20
#: A longer record is taken for a file of another format, before it fills the memory.
_MAX_RECORD = 64 << 20

Row = Sequence[str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Escapes:
    """The characters of a dialect: each is one character, and they differ."""

    separator: str = ","
    record_separator: str = "\n"
    escape: str = "\\"
    #: Characters that are escaped although reading does not need it.
    also: str = ""


class Encoder:
    """Rows to bytes in UTF-8."""

    def __init__(self, escapes: Escapes) -> None:
        self._escapes = escapes
        marks = escapes.escape + escapes.record_separator + escapes.also
        self._special = re.compile(f"[{re.escape(marks + escapes.separator)}]")
        # A backslash may begin a text that reads like NULL, whatever the escape character is.
        self._suspect = re.compile(f"[{re.escape(marks)}\\\\]")
        self._replacement = re.escape(escapes.escape) if escapes.escape == "\\" else escapes.escape
        self._replacement += r"\g<0>"
        # Readers take a carriage return before a newline for a part of the line end.
        self._guards_end = _tolerates_return(escapes) and "\r" not in escapes.also
        # Readers would skip one at the beginning of a file, which any row may be.
        self._may_be_mark = _skips_mark(escapes)

    def encode(self, batch: Iterable[Row]) -> bytes:
        """The bytes of some rows, each with its record separator."""
        separator, end = self._escapes.separator, self._escapes.record_separator
        suspect, guards_end = self._suspect.search, self._guards_end
        lines = []
        for row in batch:
            try:
                line = separator.join(row)  # type: ignore[arg-type]  # NULLs take the other way
            except TypeError:
                line = self._careful(row)
            else:
                simple = line.count(separator) == len(row) - 1 and not suspect(line)
                if not simple or (guards_end and line.endswith("\r")):
                    line = self._careful(row)
            lines.append(line)
        lines.append("")
        text = end.join(lines)
        if self._may_be_mark and _BYTE_ORDER_MARK in text:
            text = self._with_marks_escaped(text)
        return text.encode()

    def _with_marks_escaped(self, text: str) -> str:
        """Whichever rows end up at the beginning of a file, the bytes are the same."""
        escaped = self._escapes.escape + _BYTE_ORDER_MARK
        end = self._escapes.record_separator
        if text.startswith(_BYTE_ORDER_MARK):
            text = escaped + text[1:]
        return text.replace(end + _BYTE_ORDER_MARK, end + escaped)

    def _careful(self, row: Row) -> str:
        line = self._escapes.separator.join(map(self._value, row))
        if self._guards_end and line.endswith("\r"):
            line = f"{line[:-1]}{self._escapes.escape}\r"
        return line

    def _value(self, value: str | None) -> str:
        if value is None:
            return NULL
        if value == NULL:
            return self._escapes.escape + NULL
        return self._special.sub(self._replacement, value)


class Decoder:
    """Bytes in UTF-8 to rows; `source` names them in errors."""

    def __init__(
        self,
        escapes: Escapes,
        *,
        source: str,
        width: int | None = None,
        most: int = _MAX_RECORD,
        rows_before: int = 0,
        at_start: bool = True,
        bad: BadRows | None = None,
    ) -> None:
        """`most`: how many characters a record may have; `rows_before`: of the same source.

        `at_start`: whether the first row is what the source begins with. `bad`: takes the rows
        that cannot be read; without it the first one is an error.
        """
        self._bad_rows = bad
        self._escapes = escapes
        self._tolerant = _tolerates_return(escapes)
        self._source = source
        self._width = width
        self._most = most
        self._unescape = re.compile(re.escape(escapes.escape) + "(.)", re.DOTALL)
        self._rows = rows_before
        #: Whether a byte order mark may come: only before anything else.
        self._may_be_mark = at_start and not rows_before and _skips_mark(escapes)
        #: The text of a record whose end has not come yet, and its length.
        self._open: list[str] = []
        self._length = 0

    def decode(self, chunks: Iterable[bytes]) -> Iterator[list[Row]]:
        """The rows in batches; raises TaskError with the row's number at the first bad one."""
        errors = "strict" if self._bad_rows is None else "surrogateescape"
        utf8 = codecs.getincrementaldecoder("utf-8")(errors)
        batch: list[Row] = []
        room = _BATCH_LENGTH
        for chunk in chunks:
            for record in self._records(self._text(utf8, chunk, final=False)):
                batch += self._rows_of(record)
                room -= len(record)
                if room <= 0 or len(batch) >= _BATCH:
                    yield batch
                    batch, room = [], _BATCH_LENGTH
        for record in [*self._records(self._text(utf8, b"", final=True)), *self._rest()]:
            batch += self._rows_of(record)
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
            self._rows += 1
            reason = str(error)
        told = BadRow(source=self._source, row=self._rows, reason=reason, text=shown(record))
        self._bad_rows.add(told)
        return ()

    def _text(self, utf8: codecs.IncrementalDecoder, chunk: bytes, *, final: bool) -> str:
        try:
            return self._without_mark(utf8.decode(chunk, final))
        except UnicodeDecodeError as error:
            found = error.object[error.start : error.end].hex(" ")
            self._rows += sum(1 for _ in self._records(error.object[: error.start].decode()))
            raise self._bad(f"is not UTF-8 text (bytes {found})") from error

    def _without_mark(self, text: str) -> str:
        if not text or not self._may_be_mark:
            return text
        self._may_be_mark = False
        return text.removeprefix(_BYTE_ORDER_MARK)

    def _records(self, text: str) -> Iterator[str]:
        """Every record that ends in this text, without its separator."""
        end = self._escapes.record_separator
        *pieces, rest = text.split(end)
        for piece in pieces:
            if self._is_escaped(piece):
                self._keep(piece)
                self._keep(end)
                continue
            record = piece
            if self._open:
                record = "".join([*self._open, piece])
                self._open, self._length = [], 0
            yield self._without_return(record)
        if rest:
            self._keep(rest)

    def _is_escaped(self, piece: str) -> bool:
        """Whether the separator behind a piece belongs to a value."""
        escape = self._escapes.escape
        if piece and not piece.endswith(escape):
            return False
        # Of a piece that is nothing but escape characters, more may have come before.
        for kept in reversed(self._open):
            if piece.strip(escape):
                break
            piece = kept + piece
        return _is_odd(piece, escape)

    def _keep(self, piece: str) -> None:
        self._open.append(piece)
        self._length += len(piece)
        if self._length > self._most:
            column = self._column("".join(self._open))
            raise self._bad(f"has no end within {self._most >> 20} MiB (column {column})")

    def _column(self, record: str) -> int:
        """The number of the value that a record's text ends in."""
        separator, escape = self._escapes.separator, self._escapes.escape
        starts = record.split(separator)[:-1]
        return 1 + sum(1 for start in starts if not _is_odd(start, escape))

    def _rest(self) -> Iterator[str]:
        """The last record, when no separator ends it."""
        if self._open:
            record = "".join(self._open)
            if _is_odd(record, self._escapes.escape):
                raise self._bad("ends with an escape character and nothing after it")
            yield record

    def _without_return(self, record: str) -> str:
        if not record.endswith("\r") or not self._tolerant:
            return record
        shorter = record[:-1]
        return record if _is_odd(shorter, self._escapes.escape) else shorter

    def _row(self, record: str) -> Row:
        separator, escape = self._escapes.separator, self._escapes.escape
        row: list[str | None]
        if escape in record or "\\" in record:
            row = self._careful(record)
        else:
            row = [*record.split(separator)]
        if len(row) != self._width:
            if self._width is not None:
                raise self._bad(f"has {len(row)} values, wanted {self._width}")
            self._width = len(row)
        self._rows += 1
        return row

    def _careful(self, record: str) -> list[str | None]:
        separator, escape = self._escapes.separator, self._escapes.escape
        fields: list[str] = []
        parts: list[str] = []
        for piece in record.split(separator):
            parts.append(piece)
            if not _is_odd(piece, escape):
                fields.append(separator.join(parts) if len(parts) > 1 else piece)
                parts = []
        if parts:
            raise self._bad("ends with an escape character and nothing after it")
        return [None if f == NULL else self._unescape.sub(r"\1", f) for f in fields]

    def _bad(self, problem: str) -> TaskError:
        return TaskError(f"{self._source}: row {self._rows + 1} {problem}")


def _tolerates_return(escapes: Escapes) -> bool:
    """Whether a carriage return before the record separator is a part of it."""
    characters = (escapes.separator, escapes.escape)
    return escapes.record_separator == "\n" and "\r" not in characters


def _skips_mark(escapes: Escapes) -> bool:
    """Whether a byte order mark at the very start says nothing but that the text is UTF-8."""
    characters = (escapes.separator, escapes.record_separator, escapes.escape)
    return _BYTE_ORDER_MARK not in characters


def _is_odd(text: str, escape: str) -> bool:
    """Whether a text ends with an escape character that is not escaped itself."""
    return (len(text) - len(text.rstrip(escape))) % 2 == 1
