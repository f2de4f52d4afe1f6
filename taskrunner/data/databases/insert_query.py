"""What an author's INSERT puts where, as far as its form tells.

`INSERT INTO t (a, b) VALUES (?, ? + 1) ON DUPLICATE KEY UPDATE c = ?` gives its first value to `a`
and its third to `c` as they are; what becomes of the second is the author's business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from taskrunner.data.databases.base import Database
from taskrunner.data.databases.script import Statement
from taskrunner.data.fitting.columns import TargetColumn, column_named

#: Stands for a placeholder where the statement's parts are joined: no SQL has it.
_PLACE = "\0"
_QUOTED = r"(?:'(?:[^'\\]|\\.|'')*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\])"
#: Without regard to case, as the rest is, a class so large takes longer to make than all else here.
_NAME = rf"(?:{_QUOTED}|(?-i:[\w$\x80-\U0010ffff]+))"
_TABLE = rf"(?P<table>{_NAME}(?:\s*\.\s*{_NAME})*)\s*(?:AS\s+{_NAME}\s*)?"
_INSERT = re.compile(
    rf"\s*(?:INSERT|REPLACE)\b(?:\s+(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE|OR\s+\w+))*"
    rf"(?:\s+INTO)?\s+{_TABLE}(?:\((?P<columns>[^()]*)\)\s*)?"
    rf"(?:OVERRIDING\s+\w+\s+VALUE\s*)?(?:(?P<values>VALUES?\s*\()|(?P<select>SELECT\b)|SET\b)",
    re.IGNORECASE | re.DOTALL,
)
_UPDATE = re.compile(
    rf"\s*UPDATE\b(?:\s+(?:LOW_PRIORITY|IGNORE|ONLY|OR\s+\w+))*\s+{_TABLE}(?:{_NAME}\s+)?SET\b",
    re.IGNORECASE | re.DOTALL,
)
#: In a list of values: what is between commas, brackets kept together by counting.
_TOKEN = re.compile(rf"{_QUOTED}|[(),]|[^'\"`\[(),]+|.", re.DOTALL)
#: What ends a list of what is selected.
_SELECTED = re.compile(r"\b(?:FROM|WHERE|ON|RETURNING|UNION|LIMIT)\b|\Z", re.IGNORECASE)
_ALONE = re.compile(rf"\s*{_PLACE}\s*(?:(?:\bAS\s*)?{_NAME}\s*)?", re.IGNORECASE)
_MORE = re.compile(r"\s*,\s*\(")
_SET = re.compile(
    rf"({_NAME})\s*=\s*{_PLACE}(?=\s*(?:,|;|\Z|(?:RETURNING|WHERE|ON)\b))", re.IGNORECASE
)
_WHERE = re.compile(r"\bWHERE\b", re.IGNORECASE)
_COMMENT = re.compile(rf"({_QUOTED})|/\*(?!!).*?\*/|--[^\n]*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a statement's values go."""

    #: The column that takes each value as it is; None for any other.
    columns: Sequence[TargetColumn | None]
    #: The table that they are of, as it stands in SQL; None where that is not known.
    table: str | None = None


def placed(statement: Statement, database: Database) -> Placed:
    """Where a statement puts its values, as far as its form tells."""
    found: list[TargetColumn | None] = [None] * statement.placeholders
    text = _COMMENT.sub(lambda match: match[1] or " ", _PLACE.join(statement.parts))
    head = _INSERT.match(text) or _UPDATE.match(text)
    if text.count(_PLACE) != len(found) or head is None or _PLACE in head[0]:
        return Placed(found)
    table = database.find_table(_bare(head["table"].rpartition(".")[2]), _schema(head["table"]))
    columns = database.target_columns(table) if table else ()
    rows, end = _rows(text, head)
    position = 0
    for values in rows:
        names = _names(head.groupdict().get("columns"), columns, len(values))
        for number, value in enumerate(values):
            if _ALONE.fullmatch(value) and number < len(names):
                found[position] = _named(names[number], columns)
            position += value.count(_PLACE)
    # Behind WHERE an equals sign compares.
    where = _WHERE.search(text, end)
    stop = where.start() if where else len(text)
    assigned = {match.end() - 1: match[1] for match in _SET.finditer(text, end)}
    for place in re.compile(_PLACE).finditer(text, end):
        into = assigned.get(place.start()) if place.start() < stop else None
        found[position] = _named(into, columns) if into else None
        position += 1
    return Placed(found, table)


def _rows(text: str, head: re.Match[str]) -> tuple[list[list[str]], int]:
    """The lists of values behind a statement's head, and where they end."""
    groups = head.groupdict()
    if groups.get("select"):
        values, end = _values(text, head.end(), closed_by=_SELECTED)
        return [values], end
    rows: list[list[str]] = []
    end = head.end()
    more: re.Match[str] | None = head if groups.get("values") else None
    while more is not None:
        values, end = _values(text, more.end())
        rows.append(values)
        more = _MORE.match(text, end)
    return rows, end


def _names(listed: str | None, columns: Sequence[TargetColumn], width: int) -> Sequence[str]:
    """The names that the statement lists, else the table's own where their number is right."""
    if listed is not None:
        return [name.strip() for name in listed.split(",")]
    taking = [f'"{column.name}"' for column in columns if not column.is_hidden]
    return taking if len(taking) == width else []


def _named(name: str, columns: Sequence[TargetColumn]) -> TargetColumn | None:
    """The column of a name in SQL: without quotes, PostgreSQL takes it for one in small letters."""
    bare = _bare(name)
    return column_named(bare if bare != name else bare.lower(), columns)


def _values(
    text: str, start: int, *, closed_by: re.Pattern[str] | None = None
) -> tuple[list[str], int]:
    """What stands in brackets that are open already, and where they end.

    `closed_by`: what ends it in the place of a bracket.
    """
    values, depth = [""], 0
    for token in _TOKEN.finditer(text, start):
        piece = token[0]
        if piece == ")" and depth == 0:
            return values, token.end()
        found = closed_by.search(piece) if closed_by is not None and depth == 0 else None
        if found is not None and found[0] and piece[0] not in "'\"`[":
            values[-1] += piece[: found.start()]
            return values, token.start() + found.start()
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if piece == "," and depth == 0:
            values.append("")
        else:
            values[-1] += piece
    return (values if closed_by is not None else []), len(text)


def _schema(name: str) -> str | None:
    schema = name.rpartition(".")[0]
    return _bare(schema.rpartition(".")[2]) if schema else None


def _bare(name: str) -> str:
    return name.strip().strip('`"[]')
