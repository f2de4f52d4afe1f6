"""What PostgreSQL's COPY ... FROM is given: of files whose lines it reads, and of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from taskrunner.data.databases.base import Batch, Target, TargetColumn
from taskrunner.data.databases.lines_in import FileRows, LinesIn, lines_of_rows
from taskrunner.data.databases.quoted_lines_in import QuotedLinesIn
from taskrunner.data.formats.encoding import Escapes
from taskrunner.data.formats.quoting import Quoting, TextDialect

#: What COPY reads by itself; it wants carriage returns escaped as well.
_TEXT = Escapes(separator="\t", also="\r")


def told_pieces(
    rows: FileRows, dialect: TextDialect, columns: Sequence[TargetColumn], target: Target
) -> Iterator[tuple[TextDialect, bytes]]:
    """All that a load gives to the server, each piece with the dialect that it is in."""
    if isinstance(dialect, Quoting):
        lines = QuotedLinesIn(rows, columns, target, quoting=dialect, written=_TEXT)
        # Without any rows the server is asked all the same whether it would take them.
        return chain([(dialect, b"")], lines.told_pieces())
    # COPY wants carriage returns escaped as well.
    written = replace(dialect, also="\r")
    pieces = LinesIn(rows, columns, target, written=written).pieces()
    return chain([(dialect, b"")], ((dialect, data) for data in pieces))


def pieces_of_rows(
    batches: Iterable[Batch], columns: Sequence[TargetColumn], target: Target
) -> Iterator[tuple[TextDialect, bytes]]:
    """The same of rows that are no lines of a file."""
    lines = lines_of_rows(batches, columns, target, written=_TEXT)
    return chain([(_TEXT, b"")], ((_TEXT, some.data) for some in lines))
