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

from taskrunner.errors import TaskError

NULL = r"\N"
_BYTE_ORDER_MARK = "\ufeff"
_BATCH = 1000
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
        # Readers would skip one at the beginning of a file, which this batch may be.
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
        if lines and self._may_be_mark and lines[0].startswith(_BYTE_ORDER_MARK):
            lines[0] = self._escapes.escape + lines[0]
        lines.append("")
        return end.join(lines).encode()

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

    def __init__(self, escapes: Escapes, *, source: str, width: int | None = None) -> None:
        self._escapes = escapes
        self._tolerant = _tolerates_return(escapes)
        self._source = source
        self._width = width
        self._unescape = re.compile(re.escape(escapes.escape) + "(.)", re.DOTALL)
        self._rows = 0
        #: Whether a byte order mark may come: only before anything else.
        self._may_be_mark = _skips_mark(escapes)
        #: The text of a record whose end has not come yet.
        self._open: list[str] = []

    def decode(self, chunks: Iterable[bytes]) -> Iterator[list[Row]]:
        """The rows in batches; raises TaskError with the row's number at the first bad one."""
        utf8 = codecs.getincrementaldecoder("utf-8")()
        batch: list[Row] = []
        for chunk in chunks:
            for record in self._records(self._text(utf8, chunk, final=False)):
                batch.append(self._row(record))
                if len(batch) >= _BATCH:
                    yield batch
                    batch = []
        for record in [*self._records(self._text(utf8, b"", final=True)), *self._rest()]:
            batch.append(self._row(record))
        if batch:
            yield batch

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
        end, escape = self._escapes.record_separator, self._escapes.escape
        *pieces, rest = text.split(end)
        for piece in pieces:
            record = "".join([*self._open, piece]) if self._open else piece
            if record.endswith(escape) and _is_odd(record, escape):
                self._keep([record, end])
                continue
            self._open = []
            yield self._without_return(record)
        if rest:
            self._keep([*self._open, rest])

    def _keep(self, pieces: list[str]) -> None:
        self._open = pieces
        if sum(map(len, pieces)) > _MAX_RECORD:
            raise self._bad(f"has no end within {_MAX_RECORD >> 20} MiB")

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
        whole = True
        for piece in record.split(separator):
            if whole:
                fields.append(piece)
            else:
                fields[-1] += separator + piece
            whole = not _is_odd(fields[-1], escape)
        if not whole:
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
