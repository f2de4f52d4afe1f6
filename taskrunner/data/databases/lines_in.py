"""Lines of files on their way into a table, looked at without being taken apart.

A regular expression says of a piece of a file at once that all of its rows have the table's columns
and values that these keep, written as servers read them. Such a piece goes on as it is. Any other
one is taken apart, checked and written anew, as if it had come by rows: so both ways give the same.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise

from taskrunner.data.databases.base import Batch, Target, TargetColumn
from taskrunner.data.databases.text import MOST_IN_VALUE, Lines, Pace
from taskrunner.data.fitting.columns import Fitting, column_named
from taskrunner.data.fitting.numbers import Binary, BitsAsDigits, BitsAsNumber, Money, Scaled
from taskrunner.data.fitting.texts import Length, Words, Year
from taskrunner.data.fitting.times import Interval, Temporal
from taskrunner.data.formats.encoding import Decoder, Encoder, Escapes, Row
from taskrunner.data.formats.quoting import TextDialect
from taskrunner.data.formats.server_text import is_plain
from taskrunner.errors import TaskError

#: What numbers and times have in them, which no separator may be then.
IN_NUMBERS = re.compile(r"[-+:. 0-9A-Za-z]")
#: A regular expression can count so far.
MOST_COUNTED = 65535
_BACKSLASH = 0x5C
#: Rules whose plain texts have no other characters than those.
NUMBERS = (Scaled, Binary, Money, BitsAsNumber, BitsAsDigits, Temporal, Interval, Year)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRows:
    """The rows of files: batches, or what the files hold for those who can take lines."""

    batches: Iterable[Batch]
    #: The files' dialect; None: there are only batches.
    escapes: TextDialect | None
    #: How many values each row must have; None: as many as the first one.
    width: int | None
    #: Each file's name, and its bytes, decompressed.
    files: Callable[[], Iterator[tuple[str, AbstractContextManager[Iterator[bytes]]]]]
    #: Told how many rows have been taken after each piece; may raise.
    count: Callable[[int], None]
    #: Whether the rows are what the files begin with.
    at_start: bool = True

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)

    @property
    def plain_escapes(self) -> Escapes | None:
        """The dialect, where it is of escapes and servers know them."""
        escapes = self.escapes
        return escapes if isinstance(escapes, Escapes) and is_plain(escapes) else None


class LinesIn:
    """The pieces of a load, as the server is to be given them; `written` is how it reads them."""

    def __init__(
        self,
        source: FileRows,
        columns: Sequence[TargetColumn],
        target: Target,
        *,
        written: Escapes,
        most: int = MOST_IN_VALUE,
        without: str | None = "\0",
    ) -> None:
        """`without`: a character that the server's texts cannot have, if there is one."""
        self._without = without
        self._source = source
        self._most = most
        self._known = columns
        self._target = target
        self._encoder = Encoder(written)
        self._taken = _taking(columns, target)
        self._row = self._pattern()
        self._fitting: Fitting | None = None
        self._width = source.width
        self._rows = 0

    def pieces(self) -> Iterator[bytes]:
        """All that the server is given."""
        return (some.data for some in self.lines())

    def lines(self) -> Iterator[Lines]:
        """The same, with the number of rows; what is yielded counts when more is asked for."""
        for uri, opened in self._source.files():
            with opened as chunks:
                before = self._rows
                for piece in self._cut(chunks):
                    is_first = self._source.at_start and self._rows == before
                    lines = self._plain(piece, is_first=is_first)
                    if lines is not None:
                        yield lines
                        self._count(lines.rows)
                    else:
                        for batch in self._batches(piece, uri, self._rows - before):
                            yield Lines(self._encoder.encode(batch), len(batch))
                            self._count(len(batch))

    def _plain(self, piece: bytes, *, is_first: bool) -> Lines | None:
        """The lines as they are, where nothing has to be looked at in them."""
        if is_first:
            piece = piece.removeprefix(codecs.BOM_UTF8)
        if self._row is None or self._width not in {None, len(self._taken)}:
            return None
        if not self._row.holds(piece) or not is_utf8(piece):
            return None
        self._width = len(self._taken)
        return Lines(piece, self._row.count(piece))

    def _batches(self, piece: bytes, uri: str, before: int) -> Iterator[Batch]:
        """The rows of a piece, `before` of its file's before it, with values that are kept."""
        width = self._source.width if before == 0 else self._width
        for batch in self._decoded(piece, uri, before, width):
            found = len(batch[0])
            if self._width not in {None, found}:
                raise TaskError(f"{uri}: rows have {found} values, those before {self._width}")
            self._width = found
            yield self._fit(batch)

    def _pattern(self) -> RowPattern | None:
        """What says of a piece that all of its rows can be taken as they are."""
        return row_pattern(self._taken, self._escapes)

    def _cut(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pieces of a file that end where a row ends."""
        return whole_lines(chunks, most=self._most)

    def _decoded(
        self, piece: bytes, uri: str, before: int, width: int | None
    ) -> Iterator[Sequence[Row]]:
        """The rows of a piece, `before` of its file's before it."""
        decoder = Decoder(
            self._escapes,
            source=uri,
            width=width,
            most=self._most,
            rows_before=before,
            at_start=self._source.at_start,
        )
        return iter(decoder.decode([piece]))

    @property
    def _escapes(self) -> Escapes:
        escapes = self._source.escapes
        return escapes if isinstance(escapes, Escapes) else Escapes()

    def _fit(self, batch: Batch) -> Batch:
        if self._fitting is None:
            self._fitting = _fitting(self._known, self._target, width=len(batch[0]))
        first = self._rows + 1
        without = self._without
        if without is not None and any(
            without in value for row in batch for value in row if value is not None
        ):
            self._fitting.refuse(without, batch, first=first)
        return self._fitting.fit(batch, first=first)

    def _count(self, rows: int) -> None:
        self._rows += rows
        self._source.count(rows)


def lines_of_rows(
    batches: Iterable[Batch],
    columns: Sequence[TargetColumn],
    target: Target,
    *,
    written: Escapes,
    without: str | None = "\0",
) -> Iterator[Lines]:
    """Batches of rows as lines, with values that the columns keep; the words are those of LinesIn.

    Raises TaskError, as LinesIn does.
    """
    encoder = Encoder(written)
    fitting: Fitting | None = None
    first = 1
    for batch in batches:
        if fitting is None:
            fitting = _fitting(columns, target, width=len(batch[0]))
        kept = fitting.fit(batch, first=first)
        data = encoder.encode(kept)
        if without is not None and without.encode() in data:
            fitting.refuse(without, kept, first=first)
        yield Lines(data, len(batch))
        first += len(batch)


def _fitting(columns: Sequence[TargetColumn], target: Target, *, width: int) -> Fitting:
    rules = (columns, target.columns, target.on_lossy_value)
    return Fitting.of_rows(*rules, table=target.full_name, width=width)


class RowPattern:
    """Rows whose values some columns keep, as servers read them."""

    #: Pairs of backslashes are taken as well, so that the second one escapes nothing.
    _escaped = re.compile(rb"\\[\\\n]")

    def __init__(self, values: Sequence[str], separator: str) -> None:
        """`values`: a pattern for each; `separator`: what is between them, as a pattern."""
        # Atomic: where a row is not one of these, no value before is tried in another way. Of many
        # values that there are two ways for, all would be.
        ends = [*([separator] * (len(values) - 1)), r"\n"]
        row = "".join(map("(?>{}{})".format, values, ends))
        self._rows = re.compile(f"(?:{row})*+".encode("latin-1"))

    def holds(self, data: bytes) -> bool:
        """Whether some bytes are nothing but such rows."""
        return self._rows.fullmatch(data) is not None

    def count(self, data: bytes) -> int:
        """How many rows some bytes are that are nothing else."""
        ends = data.count(b"\n")
        return ends - self._escaped.findall(data).count(b"\\\n") if b"\\" in data else ends


def all_but(characters: str) -> str:
    """A class of all bytes but these few, which are ASCII, in a pattern.

    By what is in it, not by what is not: that is found in half of the time.
    """
    bounds = [-1, *sorted(map(ord, set(characters))), 256]
    ranges = ((low + 1, high - 1) for low, high in pairwise(bounds) if high - low > 1)
    return "[" + "".join(rf"\x{low:02x}-\x{high:02x}" for low, high in ranges) + "]"


def row_pattern(columns: Sequence[TargetColumn], escapes: Escapes) -> RowPattern | None:
    """The pattern of a table's rows; None where the types of its columns have none."""
    separator = re.escape(escapes.separator)
    other = all_but(escapes.separator + "\\\n\r\0")
    values = []
    for column in columns:
        value = _value(column, escapes.separator, other)
        if value is None:
            return None
        values.append(value if column.null_becomes is not None else rf"(?:{value}|\\N)")
    return RowPattern(values, separator) if values else None


def _value(column: TargetColumn, separator: str, other: str) -> str | None:
    rule = column.rule
    # Escapes that are no servers' own: of a separator, a newline, a backslash.
    escaped = rf"\\[{re.escape(separator)}\n\\]"
    if rule is None:
        # Most texts have nothing escaped: what repeats costs time even where there is nothing.
        return rf"{other}*+(?:{escaped}{other}*+(?:{escaped}{other}*+)*+|)"
    if isinstance(rule, Length):
        # So few bytes that they are not too many characters.
        most = min(rule.most, MOST_COUNTED)
        return rf"(?:{other}{{0,{most}}}+(?!\\)|(?:{other}|{escaped}){{0,{most}}}+)"
    if isinstance(rule, Words):
        are_plain = not re.search(rf"[^ -~]|[{re.escape(separator)}\\]", "".join(rule.words))
        return f"(?:{rule.plain})" if are_plain else None
    if isinstance(rule, NUMBERS):
        return None if IN_NUMBERS.match(separator) else f"(?:{rule.plain})"
    return None


def _taking(columns: Sequence[TargetColumn], target: Target) -> Sequence[TargetColumn]:
    """The columns that a row's values go to, in order; none where one of them is not known."""
    if not target.columns:
        return [column for column in columns if not (column.is_generated or column.is_hidden)]
    found = [column_named(name, columns) for name in target.columns]
    return [column for column in found if column is not None] if None not in found else []


def whole_lines(chunks: Iterable[bytes], *, most: int = MOST_IN_VALUE) -> Iterator[bytes]:
    """Pieces of a file that end where a row ends; the last one may end in the midst of its row."""
    pace = Pace()
    kept: list[bytes] = []
    size = 0
    for chunk in chunks:
        start = 0
        while start < len(chunk):
            some = chunk[start : start + pace.size]
            start += len(some)
            end = _end_of_row(some)
            if not end:
                kept.append(some)
                size += len(some)
                if size > most:
                    break
                continue
            yield b"".join([*kept, some[:end]])
            pace.grow()
            kept, size = [some[end:]], len(some) - end
        if size > most:
            break
    if rest := b"".join(kept):
        yield rest


def _end_of_row(data: bytes) -> int:
    """Where the last row ends in some bytes; 0: nowhere, or what was before them would tell."""
    end = len(data)
    while (end := data.rfind(b"\n", 0, end)) > 0:
        start = end
        while start and data[start - 1] == _BACKSLASH:
            start -= 1
        if start and (end - start) % 2 == 0:
            return end + 1
        end = max(start, 1)
    return 0


def is_utf8(data: bytes) -> bool:
    """Whether some bytes, which are whole lines, are text."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
