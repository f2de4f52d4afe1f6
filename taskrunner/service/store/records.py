"""Rows between the store's tables and their classes, both ways: names of columns stand in neither.

A row class has one field for each column of its table (a test compares).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from taskrunner.model.rows import Row
from taskrunner.service.store.arrays import insert_at_once
from taskrunner.service.store.prepared import Prepared

R = TypeVar("R", bound=Row)


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


#: Where a row stands in an order: the values of its columns.
Place = tuple[Any, ...]


def page(
    conn: Connection,
    cls: type[R],
    statement: sa.Select[Any],
    order: Sequence[sa.Column[Any]],
    *,
    after: Place | None,
    up_to: Place | None,
    limit: int,
) -> list[R]:
    """The first rows that a statement finds beyond one place and up to another, in an order.

    No two may share a place.
    """
    if after is not None:
        statement = statement.where(sa.tuple_(*order) > _at(order, after))
    if up_to is not None:
        statement = statement.where(sa.tuple_(*order) <= _at(order, up_to))
    return fetch(conn, cls, statement.order_by(*order).limit(limit))


def place_beyond(
    conn: Connection,
    statement: sa.Select[Any],
    order: Sequence[sa.Column[Any]],
    *,
    after: Place | None,
    rows: int,
) -> Place | None:
    """The place so many rows beyond another; None when there are fewer."""
    if after is not None:
        statement = statement.where(sa.tuple_(*order) > _at(order, after))
    statement = statement.with_only_columns(*order).order_by(*order)
    found = conn.execute(statement.limit(1).offset(rows - 1)).first()
    return None if found is None else tuple(found)


def _at(order: Sequence[sa.Column[Any]], place: Place) -> sa.Tuple:
    both = zip(order, place, strict=True)
    return sa.tuple_(*(sa.literal(value, column.type) for column, value in both))


def insert_missing(conn: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows; those whose key is there already are left as they are."""
    insert_missing_columns(conn, table, [row.columns() for row in rows])


def insert_missing_columns(
    conn: Connection, table: sa.Table, values: Sequence[Mapping[str, Any]]
) -> None:
    """As `insert_missing`, for a table that has no class."""
    if len(values) > 1 and conn.dialect.name == "postgresql":
        insert_at_once(conn, table, values, only_missing=True)
    else:
        _missing_into(table, conn.dialect.name).change_all(conn, values)


@cache
def _missing_into(table: sa.Table, dialect: str) -> Prepared:
    build = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return Prepared(build(table).on_conflict_do_nothing())


def is_row(table: sa.Table) -> sa.ColumnElement[bool]:
    """The condition that a row is the one whose `key_of` the statement is executed with."""
    return sa.and_(*(column == sa.bindparam(f"of_{column.name}") for column in table.primary_key))


def key_of(table: sa.Table, row: Row) -> dict[str, Any]:
    """What `is_row` is compared to."""
    return {f"of_{column.name}": getattr(row, column.name) for column in table.primary_key}
