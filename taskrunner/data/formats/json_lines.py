r"""The data format JsonLines: each line is a JSON object, by the names of the columns.

Every value comes back as the text that it was. Columns of numbers are written as JSON's numbers,
digit by digit, and never pass through one; columns of Booleans as `true` and `false`; of JSON those
that are objects or arrays as such. All else is a string, and NULL is null.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from taskrunner.data.formats.bad_rows import BadRow, BadRows, is_text, shown
from taskrunner.data.formats.base import Column, Format, Opened, RowWriter
from taskrunner.data.formats.columns import Kind, kind_of, listed_columns, written_columns
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.task import TaskObject

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_NUMBERS = {Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT}
_BOOLEANS = {"t": "true", "true": "true", "f": "false", "false": "false"}
_BATCH = 1000
_BATCH_LENGTH = 1 << 20
#: More than any value that is copied, a value of bytes as its hexadecimal digits.
_MOST_IN_LINE = 256 << 20
_BLANKS = " \t\r\n"
_HALF = re.compile("[\ud800-\udfff]")
_string = json.encoder.encode_basestring

Row = Sequence[str | None]


@dataclass(frozen=True)
class JsonLines(Format):
    """A JSON object a line; the first one says which columns there are, if nobody else does."""

    extension = ".jsonl"

    listed: tuple[Column, ...] = ()
    columns: tuple[str, ...] = field(default=(), compare=False)
    most: int = field(default=_MOST_IN_LINE, compare=False)

    @property
    def has_names(self) -> bool:
        """In each line."""
        return True

    @property
    def is_joinable(self) -> bool:
        """Each line stands for itself."""
        return True

    @classmethod
    def from_object(cls, described: TaskObject | None) -> JsonLines:
        """Read the columns, where they are listed."""
        listed = listed_columns(described)
        return cls(listed=listed, columns=tuple(column.name for column in listed))

    def encode(self, batch: Iterable[Row]) -> bytes:
        """The bytes of some rows, where the columns are listed."""
        return self.writer(()).encode(batch)

    def decode(self, chunks: Iterable[bytes], *, source: str) -> Iterator[Sequence[Row]]:
        """The rows, in batches."""
        return self.open(chunks, source=source).batches

    def writer(self, columns: Sequence[Column]) -> RowWriter:
        """By the names of what is read, or those that are listed."""
        known = written_columns(self.listed, columns, who="lines of JSON name")
        return _Writer(self, known)

    def open(
        self,
        chunks: Iterable[bytes],
        *,
        source: str,
        names: tuple[str, ...] = (),
        bad: BadRows | None = None,
    ) -> Opened:
        """The names are those of the first line, in its order, where none are wanted."""
        errors = "strict" if bad is None else "surrogateescape"
        lines = _lines(chunks, source=source, most=self.most, errors=errors)
        wanted = self.columns or names
        if not wanted:
            first = next(lines, None)
            if first is None:
                return Opened(columns=(), batches=iter(()))
            wanted = tuple(_members(first[1], _place(source, 1)))
            lines = _chain(first, lines)
        reader = _Reader(wanted, source=source, takes_others=bool(self.columns), bad=bad)
        return Opened(columns=wanted, batches=reader.batches(lines))


class _Writer(RowWriter):
    """Rows as lines; a row is made of pieces between which its values stand."""

    def __init__(self, form: Format, columns: Sequence[Column]) -> None:
        super().__init__(form)
        names = [column.name for column in columns]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            message = f"the column {twice!r} is there twice, and lines of JSON go by names"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        self._before = [f"{',' if n else '{'}{_string(name)}:" for n, name in enumerate(names)]
        self._makers = [_MAKERS.get(kind_of(column.type), _string) for column in columns]

    def encode(self, batch: Iterable[Row]) -> bytes:
        """The bytes of some rows, each a line."""
        before, makers = self._before, self._makers
        lines = []
        for row in batch:
            parts = [
                name + ("null" if value is None else make(value))
                for name, make, value in zip(before, makers, row, strict=True)
            ]
            lines.append("".join(parts))
        lines.append("")
        return "}\n".join(lines).encode()


def _number(value: str) -> str:
    return value if _NUMBER.fullmatch(value) else _string(value)


def _boolean(value: str) -> str:
    return _BOOLEANS.get(value) or _string(value)


def _json(value: str) -> str:
    """An object or an array as it is, if that comes back as the same text."""
    if value[:1] in {"{", "["} and "\n" not in value and "\r" not in value:
        try:
            _STRICT.decode(value)
        except (ValueError, RecursionError):
            return _string(value)
        # What is around it would be no part of it.
        return value if value == value.strip(_BLANKS) else _string(value)
    return _string(value)


_MAKERS: Mapping[Kind, Callable[[str], str]] = {
    **dict.fromkeys(_NUMBERS, _number),
    Kind.BOOLEAN: _boolean,
    Kind.JSON: _json,
}


class _Reader:
    """Lines to rows."""

    def __init__(
        self, names: Sequence[str], *, source: str, takes_others: bool, bad: BadRows | None
    ) -> None:
        self._bad_rows = bad
        self._names = names
        self._known = frozenset(names)
        self._source = source
        self._takes_others = takes_others

    def batches(self, lines: Iterator[tuple[int, str]]) -> Iterator[list[Row]]:
        """The rows, in batches; raises TaskError with the row's number at the first bad one."""
        batch: list[Row] = []
        room = _BATCH_LENGTH
        for number, line in lines:
            batch += self._rows_of(line, number)
            room -= len(line)
            if room <= 0 or len(batch) >= _BATCH:
                yield batch
                batch, room = [], _BATCH_LENGTH
        if batch:
            yield batch

    def _rows_of(self, line: str, number: int) -> tuple[Row, ...]:
        """The row of a line; none where it is put aside."""
        if self._bad_rows is None:
            return (self._row(line, number),)
        reason = f"{_place(self._source, number)} is not UTF-8 text"
        if is_text(line):
            try:
                return (self._row(line, number),)
            except TaskError as error:
                reason = str(error)
        told = BadRow(source=self._source, row=number, reason=reason, text=shown(line))
        self._bad_rows.add(told)
        return ()

    def _row(self, line: str, number: int) -> Row:
        where = _place(self._source, number)
        found = _members(line, where)
        if not self._takes_others and not self._known.issuperset(found):
            name = next(name for name in found if name not in self._known)
            raise TaskError(
                f"{where} has the name {name!r}, which rows before it have not; list the columns "
                "that are wanted in the data format",
                error_id=ErrorId.INVALID_FIELD,
            )
        return [found.get(name) for name in self._names]


def _place(source: str, number: int) -> str:
    return f"{source}: row {number}"


def _members(line: str, where: str) -> dict[str, str | None]:
    """An object's members as texts: numbers as they are written, objects and arrays, too."""
    try:
        found = _DECODER.decode(line)
        if isinstance(found, _Pairs):
            return found.texts() if found.is_flat else _by_hand(line)
    except RecursionError:
        raise TaskError(f"{where} is nested too deeply", error_id=ErrorId.INVALID_FIELD) from None
    except ValueError as error:
        column = f", character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        problem = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        message = f"{where}{column} is not JSON: {problem}"
        raise TaskError(message, error_id=ErrorId.INVALID_FIELD) from error
    raise TaskError(f"{where} is no JSON object", error_id=ErrorId.INVALID_FIELD)


class _Number(str):
    """A number, as it is written."""

    __slots__ = ()


class _Pairs(list[tuple[str, Any]]):
    """The members of an object, in their order."""

    @property
    def is_flat(self) -> bool:
        """Whether no value is an object or an array itself."""
        return not any(isinstance(value, list) for _, value in self)

    def texts(self) -> dict[str, str | None]:
        """The values' texts by their names; raises ValueError for a name that is there twice."""
        found = {name: _text(value) for name, value in self}
        if len(found) < len(self):
            raise ValueError(f"the name {_twice([name for name, _ in self])!r} is there twice")
        return found


def _twice(names: Sequence[str]) -> str:
    return next(name for n, name in enumerate(names) if name in names[:n])


def _text(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        return "true" if value is True else "false"
    if not value.isascii() and _HALF.search(value):
        raise ValueError("half a surrogate pair is no character")
    return str(value)


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON's")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs,
    parse_int=_Number,
    parse_float=_Number,
    parse_constant=_constant,
)
_STRICT = json.JSONDecoder(parse_constant=_constant, parse_int=str, parse_float=str)


def _by_hand(line: str) -> dict[str, str | None]:
    """As `_Pairs.texts`, of a line that is JSON: what is nested is taken as it is written."""
    found: dict[str, str | None] = {}
    position = _skipped(line, line.index("{") + 1)
    while line[position] != "}":
        name, position = _DECODER.raw_decode(line, position)
        position = _skipped(line, line.index(":", position) + 1)
        value, end = _DECODER.raw_decode(line, position)
        if name in found:
            raise ValueError(f"the name {name!r} is there twice")
        found[name] = line[position:end] if isinstance(value, list) else _text(value)
        position = _skipped(line, end)
        if line[position] == ",":
            position = _skipped(line, position + 1)
    return found


def _skipped(line: str, position: int) -> int:
    """Behind the blanks that are there."""
    while line[position] in _BLANKS:
        position += 1
    return position


def _chain(first: tuple[int, str], rest: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield first
    yield from rest


def _lines(
    chunks: Iterable[bytes], *, source: str, most: int, errors: str
) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, those of nothing but blanks left out."""
    kept: list[bytes] = []
    size = number = 0
    for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        for piece in whole:
            number += 1
            line = _decoded(b"".join([*kept, piece]), source, number, errors)
            kept, size = [], 0
            if line:
                yield number, line
        kept.append(last)
        size += len(last)
        if size > most:
            raise TaskError(f"{source}: row {number + 1} has no end within {most >> 20} MiB")
    if line := _decoded(b"".join(kept), source, number + 1, errors):
        yield number + 1, line


def _decoded(line: bytes, source: str, number: int, errors: str) -> str:
    try:
        text = line.decode(errors=errors)
    except UnicodeDecodeError as error:
        found = line[error.start : error.end].hex(" ")
        message = (
            f"{source}: row {number}, byte {error.start + 1}, is not UTF-8 text (bytes {found})"
        )
        raise TaskError(message, error_id=ErrorId.INVALID_FIELD) from error
    return (text.removeprefix("\ufeff") if number == 1 else text).strip(_BLANKS)
