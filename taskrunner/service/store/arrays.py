"""Many rows by one statement of PostgreSQL: each column goes as the text of an array.

The driver would send each row by itself, which costs several times what the rest of it does: it is
most of what a thousand pipelines that fall due at once cost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from taskrunner.service.store.prepared import Prepared


def insert_at_once(
    conn: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, only_missing: bool
) -> None:
    """Insert rows that all have the same columns; `only_missing`: not those whose key is there."""
    names = tuple(rows[0])
    columns = {_given(name): array_text([row[name] for row in rows]) for name in names}
    _statement(table, names, only_missing).change(conn, columns)


@cache
def _statement(table: sa.Table, names: Sequence[str], only_missing: bool) -> Prepared:
    columns = [table.c[name] for name in names]
    arrays = (
        sa.cast(sa.bindparam(_given(column.name), type_=sa.Text), postgresql.ARRAY(column.type))
        for column in columns
    )
    given = (
        sa.func.unnest(*arrays)
        .table_valued(*(sa.column(column.name, column.type) for column in columns))
        .render_derived()
    )
    insert = postgresql.insert(table).from_select(list(names), sa.select(*given.c))
    return Prepared(insert.on_conflict_do_nothing() if only_missing else insert)


def _given(name: str) -> str:
    return f"all_{name}"


def array_text(values: Sequence[Any]) -> str:
    """An array as PostgreSQL reads it (its manual, 8.15.2 and 8.15.6)."""
    first = values[0]
    if values.count(first) == len(values):  # as in most columns
        return f"{{{','.join([_element(first)] * len(values))}}}"
    if isinstance(first, str) and (plain := _of_plain_texts(values)):
        return plain
    return f"{{{','.join(map(_element, values))}}}"


def _of_plain_texts(values: Sequence[Any]) -> str | None:
    """An array of texts with nothing in them that is to be escaped; None: it is not one."""
    try:
        joined = '","'.join(values)
    except TypeError:
        return None
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        return None
    return f'{{"{joined}"}}'


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, datetime):
        return f'"{value.isoformat()}"'
    if isinstance(value, bool | int | float):
        return str(value)
    return _quoted(json.dumps(value))


def _quoted(text: str) -> str:
    # str.replace takes a text as it is, also where it is of a class with a __str__ of its own.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
