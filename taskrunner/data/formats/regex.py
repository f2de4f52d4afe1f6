"""The data format RegEx: each line's groups are its values.

As Hive's RegexSerDe reads it, the expression has to match the whole line; a group that takes no
part in the match is NULL. Hive gives NULLs for a line that does not match: here it is an error,
which names the line.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Self

from taskrunner.data.formats.bad_rows import BadRow, BadRows
from taskrunner.data.formats.base import Format, Opened
from taskrunner.data.formats.encoding import NULL
from taskrunner.data.formats.fields import column_names
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.task import TaskObject

_BATCH = 1000
#: A longer line is taken for a file of another format, before it fills the memory.
_MAX_LINE = 64 << 20
#: What Java calls a named group, and Python not.
_NAMED_GROUP = re.compile(r"\(\?<(?=[A-Za-z])")
#: `%1$s` of Java's format strings, and the sign itself.
_PIECE = re.compile(r"%(?:(\d+)\$s|(%))")
_SHOWN = 60


@dataclass(frozen=True)
class RegEx(Format):
    """Lines that are read by `inputRegEx`, and written by `outputFormat`."""

    extension = ".txt"

    pattern: re.Pattern[str]
    #: What is written of a row: texts, and the numbers of columns, from 0; None: nothing can be.
    output: tuple[str | int, ...] | None = None
    #: As it is told in messages.
    name: str = field(default="RegEx", compare=False)
    columns: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_object(cls, described: TaskObject | None) -> Self:
        """Read the expression, the columns and the output format."""
        if described is None:
            message = "a RegEx has to say its inputRegEx"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        text = described.required("inputRegEx")
        try:
            pattern = re.compile(_NAMED_GROUP.sub("(?P<", text))
        except (re.error, OverflowError) as error:
            raise _invalid(described, "inputRegEx", f"{text!r} cannot be read: {error}") from error
        columns = column_names(described.all("column"))
        if not pattern.groups or (columns and len(columns) != pattern.groups):
            wanted = f"{len(columns)}, one for each column" if columns else "at least one"
            problem = f"found {pattern.groups} groups in {text!r}, wanted {wanted}"
            raise _invalid(described, "inputRegEx", problem)
        output = _output(described, pattern.groups)
        name = f"{described.type} {described.component_id!r}"
        return cls(pattern, output, name=name, columns=columns)

    def encode(self, batch: Iterable[Sequence[str | None]]) -> bytes:
        """The bytes of some rows, each a line; raises PermanentTaskError without outputFormat."""
        if self.output is None:
            message = f"{self.name} has no outputFormat, so nothing can be written with it"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        return "".join(self._line(row, self.output) for row in batch).encode()

    def _line(self, row: Sequence[str | None], output: tuple[str | int, ...]) -> str:
        if len(row) != self.pattern.groups:
            message = f"{self.name}: a row has {len(row)} values, wanted {self.pattern.groups}"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        values = [NULL if value is None else value for value in row]
        line = "".join(piece if isinstance(piece, str) else values[piece] for piece in output)
        if "\n" in line:
            message = f"{self.name}: a value holds a line end, which would be the end of its row"
            raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
        return f"{line}\n"

    def decode(
        self, chunks: Iterable[bytes], *, source: str
    ) -> Iterator[list[Sequence[str | None]]]:
        """The rows, in batches."""
        return self._read(chunks, source, None)

    def open(
        self,
        chunks: Iterable[bytes],
        *,
        source: str,
        names: tuple[str, ...] = (),
        bad: BadRows | None = None,
    ) -> Opened:
        """The columns are those of the format; a line that does not match may be put aside."""
        return Opened(columns=self.columns, batches=self._read(chunks, source, bad))

    def _read(
        self, chunks: Iterable[bytes], source: str, bad: BadRows | None
    ) -> Iterator[list[Sequence[str | None]]]:
        batch: list[Sequence[str | None]] = []
        for number, line in enumerate(_lines(chunks, source), 1):
            found = self.pattern.fullmatch(line)
            if found is None:
                shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
                message = f"{source}: row {number} does not match inputRegEx: {shown!r}"
                if bad is None:
                    raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
                bad.add(BadRow(source=source, row=number, reason=message, text=line))
                continue
            batch.append(found.groups())
            if len(batch) >= _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _output(described: TaskObject, groups: int) -> tuple[str | int, ...] | None:
    """The pieces of `outputFormat`."""
    text = described.get("outputFormat")
    if text is None:
        return None
    pieces: list[str | int] = []
    end = 0
    for match in _PIECE.finditer(text):
        pieces.append(text[end : match.start()])
        number, _ = match.groups()
        if number is not None and not 1 <= int(number[:9]) <= groups:
            problem = f"found {match[0]!r}, wanted a number from 1 to {groups}"
            raise _invalid(described, "outputFormat", problem)
        pieces.append(int(number) - 1 if number is not None else "%")
        end = match.end()
    pieces.append(text[end:])
    for piece in pieces:
        if isinstance(piece, str) and ("\n" in piece or ("%" in piece and piece != "%")):
            problem = f"found {text!r}, wanted a line of text with %1$s, %2$s, ... in it"
            raise _invalid(described, "outputFormat", problem)
    return tuple(piece for piece in pieces if piece != "")


def _lines(chunks: Iterable[bytes], source: str) -> Iterator[str]:
    """The lines without their ends, as Hadoop's text input has them."""
    utf8 = codecs.getincrementaldecoder("utf-8-sig")()
    rest: list[str] = []
    size = rows = 0
    for chunk in chain(chunks, [None]):
        try:
            text = utf8.decode(chunk or b"", chunk is None)
        except UnicodeDecodeError as error:
            message = f"{source}: after row {rows} it is not UTF-8 text"
            raise TaskError(message, error_id=ErrorId.INVALID_FIELD) from error
        *whole, last = text.split("\n")
        for piece in whole:
            yield "".join([*rest, piece]).removesuffix("\r")
            rest, size, rows = [], 0, rows + 1
        rest.append(last)
        size += len(last)
        if size > _MAX_LINE:
            raise TaskError(f"{source}: row {rows + 1} has no end within {_MAX_LINE >> 20} MiB")
    if line := "".join(rest):
        yield line.removesuffix("\r")


def _invalid(described: TaskObject, key: str, problem: str) -> PermanentTaskError:
    message = f"{described.type} {described.component_id!r}, field {key!r}: {problem}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
