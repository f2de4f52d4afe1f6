"""What an author's INSERT puts where, as far as its form tells.

`INSERT INTO t (a, b) VALUES (?, ? + 1) ON DUPLICATE KEY UPDATE c = ?` gives its first value to `a`
and its third to `c` as they are; what becomes of the second is the author's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from taskrunner.data.databases.base import Database
from taskrunner.data.databases.script import Statement
from taskrunner.data.fitting.columns import TargetColumn

#: Stands for a placeholder where the statement's parts are joined: no SQL has it.
_PLACE = "\0"
_QUOTED = r"(?:'(?:[^'\\]|\\.|'')*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\])"
#: Without regard to case, as the rest is, a class so large takes longer to make than all else here.
_NAME = rf"(?:{_QUOTED}|(?-i:[\w$\x80-\U0010ffff]+))"
_INSERT = re.compile(
    rf"\s*(?:INSERT|REPLACE)\b(?:\s+(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE|OR\s+\w+))*"
    rf"(?:\s+INTO)?\s+(?P<table>{_NAME}(?:\s*\.\s*{_NAME})*)\s*"
    rf"(?:AS\s+{_NAME}\s*)?(?:\((?P<columns>[^()]*)\)\s*)?VALUES?\s*\(",
    re.IGNORECASE | re.DOTALL,
)
#: In a list of values: what is between commas, brackets kept together by counting.
_TOKEN = re.compile(rf"{_QUOTED}|[(),]|[^'\"`\[(),]+|.", re.DOTALL)
_SET = re.compile(rf"({_NAME})\s*=\s*{_PLACE}(?=\s*(?:,|;|\Z|RETURNING\b))", re.IGNORECASE)
_WHERE = re.compile(r"\bWHERE\b", re.IGNORECASE)


def columns_of(statement: Statement, database: Database) -> list[TargetColumn | None]:
    """The column that takes each of the statement's values as it is; None for any other."""
    found: list[TargetColumn | None] = [None] * statement.placeholders
    text = _PLACE.join(statement.parts)
    head = _INSERT.match(text)
    if head is None or _PLACE in head[0]:
        return found
    table = database.find_table(_bare(head["table"].rpartition(".")[2]), _schema(head["table"]))
    columns = database.target_columns(table) if table else ()
    by_name = {column.name.lower(): column for column in columns}
    values, end = _values(text, head.end())
    position = 0
    for name, value in zip(_names(head["columns"], columns, len(values)), values, strict=False):
        if value.strip() == _PLACE:
            found[position] = by_name.get(name)
        position += value.count(_PLACE)
    # Behind WHERE an equals sign compares.
    where = _WHERE.search(text, end)
    stop = where.start() if where else len(text)
    assigned = {match.end() - 1: match[1] for match in _SET.finditer(text, end, stop)}
    for place in re.compile(_PLACE).finditer(text, end):
        into = assigned.get(place.start())
        found[position] = by_name.get(_bare(into).lower()) if into else None
        position += 1
    return found


def _names(
    listed: str | None, columns: Sequence[TargetColumn], width: int
) -> Iterator[str] | list[str]:
    """The names that the statement lists, else the table's own where their number is right."""
    if listed is not None:
        return (_bare(name).lower() for name in listed.split(","))
    taking = [column.name.lower() for column in columns if not column.is_hidden]
    return taking if len(taking) == width else []


def _values(text: str, start: int) -> tuple[list[str], int]:
    """What stands in brackets that are open already, and where they end."""
    values, depth = [""], 0
    for token in _TOKEN.finditer(text, start):
        piece = token[0]
        if piece == ")" and depth == 0:
            return values, token.end()
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if piece == "," and depth == 0:
            values.append("")
        else:
            values[-1] += piece
    return [], len(text)


def _schema(name: str) -> str | None:
    schema = name.rpartition(".")[0]
    return _bare(schema.rpartition(".")[2]) if schema else None


def _bare(name: str) -> str:
    return name.strip().strip('`"[]')
