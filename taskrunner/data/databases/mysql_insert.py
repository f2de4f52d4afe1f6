"""INSERT statements for many rows at once, as MySQL takes them, and what it says of changes.

Rows go into one statement where its placeholders make up one list behind VALUES; any other form
(`VALUES (?) ON DUPLICATE KEY UPDATE a = ?`, `SELECT ?, ?`) is run row by row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import pymysql
from pymysql.cursors import Cursor

from taskrunner.data.databases.mysql_errors import code_of, is_of_rows
from taskrunner.data.databases.script import Statement

#: Bytes of a statement: servers take 1 MiB at the least, unless one row has more.
_MOST = 1_000_000
_LIST = re.compile(r"\bVALUES?\s*\(\s*\Z", re.IGNORECASE)
_BETWEEN = re.compile(r"\s*,\s*")
_ENGINE = re.compile(r"^\).*?\bENGINE=(\w+)", re.MULTILINE)
_REPEATABLE = re.compile(
    r"\A\s*REPLACE\b|\bINSERT\b(?:\s+\w+)?\s+IGNORE\b|\bON\s+DUPLICATE\s+KEY\s+UPDATE\b",
    re.IGNORECASE,
)
_ROW = re.compile(r"at row (\d+)")
#: Cut, out of range, cut to a number, no character of the column's, too long, NULL for what none
#: is for, no default: what a server that is not strict, or IGNORE, makes of a value.
_CHANGES = {1048, 1264, 1265, 1292, 1364, 1366, 1406, 1411}


@dataclass(frozen=True, slots=True)
class Piece:
    """A statement for some rows; `first` is the number of its first row, from 1."""

    sql: str
    first: int
    #: A statement for each of the rows, where there are several.
    apart: Sequence[str] = ()

    def row_in(self, message: str) -> int | None:
        """The row that the server speaks of, counted over all pieces."""
        found = _ROW.search(message)
        return self.first + int(found[1]) - 1 if found and int(found[1]) else None


def pieces(
    statement: Statement,
    rows: Iterable[Sequence[object]],
    mogrify: Callable[[str, Sequence[object]], str],
) -> Iterator[Piece]:
    """The statements that insert the rows; `mogrify` writes values into a text."""
    parts = [part.replace("%", "%%") for part in statement.parts]
    if not _is_list(statement):
        template = "%s".join(parts)
        for number, row in enumerate(rows, 1):
            yield Piece(mogrify(template, row), number)
        return
    head, tail = statement.parts[0], statement.parts[-1]
    template = "%s".join(["(", *parts[1:-1], ")"])
    head, tail = head[: head.rindex("(")], tail[tail.index(")") + 1 :]
    texts: list[str] = []
    size, first = 0, 1
    for number, row in enumerate(rows, 1):
        text = mogrify(template, row)
        length = len(text.encode("utf-8", "surrogateescape"))
        if texts and size + length > _MOST:
            yield _joined(head, texts, tail, first)
            texts, size, first = [], 0, number
        texts.append(text)
        size += length
    if texts:
        yield _joined(head, texts, tail, first)


def _joined(head: str, texts: Sequence[str], tail: str, first: int) -> Piece:
    apart = _Apart(head, texts, tail) if len(texts) > 1 else ()
    return Piece(f"{head}{','.join(texts)}{tail}", first, apart)


class _Apart(Sequence[str]):
    """The statements of single rows, made when they are asked for."""

    def __init__(self, head: str, texts: Sequence[str], tail: str) -> None:
        self._parts = head, texts, tail

    def __len__(self) -> int:
        return len(self._parts[1])

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[str]: ...
    def __getitem__(self, number: int | slice) -> str | Sequence[str]:
        head, texts, tail = self._parts
        if isinstance(number, slice):
            return _Apart(head, texts[number], tail)
        return f"{head}{texts[number]}{tail}"


def row_refused(error: pymysql.err.Error, piece: Piece, cursor: Cursor) -> int | None:
    """The row that the server has refused without its number: of a key that is there, say.

    Its transaction goes on behind a statement that failed, to be undone as a whole.
    """
    if is_of_rows(error):
        for row, sql in enumerate(piece.apart, piece.first):
            try:
                cursor.execute(sql)
            except pymysql.err.Error as again:
                return row if code_of(again) == code_of(error) else None
    return None


def first_change(warnings: Iterable[Sequence[object]]) -> str | None:
    """The message of the first of a server's warnings which says that a value was changed."""
    for _, code, message in warnings:
        if int(str(code)) in _CHANGES:
            return str(message)
    return None


def is_repeatable(query: str) -> bool:
    """Whether an INSERT says itself what becomes of rows that are there already."""
    return _REPEATABLE.search(query) is not None


def engine_of(create_table: str) -> str:
    """The storage engine in the answer to SHOW CREATE TABLE; empty for a view."""
    found = _ENGINE.findall(create_table)
    return str(found[-1]) if found else ""


def _is_list(statement: Statement) -> bool:
    first, *between, last = statement.parts
    return (
        bool(_LIST.search(first))
        and all(map(_BETWEEN.fullmatch, between))
        and last.lstrip().startswith(")")
        # No other list of values may follow, such as `(?), (1)`.
        and not last.lstrip()[1:].lstrip().startswith(",")
    )
