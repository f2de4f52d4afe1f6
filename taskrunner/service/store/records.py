"""Rows between the store's tables and their classes, both ways: names of columns stand in neither.

A row class has one field for each column of its table (a test compares).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from taskrunner.model.rows import Row

R = TypeVar("R", bound=Row)

#: Rows that are held at a time when many are gone through.
STREAMED = 100


def fetch(
    conn: Connection,
    cls: type[R],
    statement: sa.Select[Any],
    values: Mapping[str, Any] | None = None,
) -> list[R]:
    """Every row that a statement finds."""
    return [cls.from_columns(found) for found in conn.execute(statement, values).mappings()]


def fetch_first(
    conn: Connection,
    cls: type[R],
    statement: sa.Select[Any],
    values: Mapping[str, Any] | None = None,
) -> R | None:
    """The first row that a statement finds, if it finds any."""
    found = conn.execute(statement, values).mappings().first()
    return cls.from_columns(found) if found else None


def stream(
    conn: Connection,
    cls: type[R],
    statement: sa.Select[Any],
    order: Sequence[sa.Column[Any]],
    after: R | None,
    *,
    size: int = STREAMED,
) -> Iterator[list[R]]:
    """Every row that a statement finds, some at a time; those beyond `after`.

    No two may share a place in the order.
    """
    if after is not None:
        place = (sa.literal(getattr(after, column.name), column.type) for column in order)
        statement = statement.where(sa.tuple_(*order) > sa.tuple_(*place))
    options = {"yield_per": size}
    with conn.execute(statement.order_by(*order), execution_options=options) as result:
        for found in result.mappings().partitions():
            yield [cls.from_columns(row) for row in found]


def insert_missing(conn: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows; those whose key is there already are left as they are."""
    insert_missing_columns(conn, table, [row.columns() for row in rows])


def insert_missing_columns(
    conn: Connection, table: sa.Table, values: Sequence[Mapping[str, Any]]
) -> None:
    """As `insert_missing`, for a table that has no class."""
    if not values:
        return
    build = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    conn.execute(build(table).on_conflict_do_nothing(), list(values))


def is_row(table: sa.Table) -> sa.ColumnElement[bool]:
    """The condition that a row is the one whose `key_of` the statement is executed with."""
    return sa.and_(*(column == sa.bindparam(f"of_{column.name}") for column in table.primary_key))


def key_of(table: sa.Table, row: Row) -> dict[str, Any]:
    """What `is_row` is compared to."""
    return {f"of_{column.name}": getattr(row, column.name) for column in table.primary_key}
