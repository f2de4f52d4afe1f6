"""What SQLite's planner is told about the tables: how a big store looks, whatever this one holds.

Without statistics SQLite takes ten rows for all that a pipeline can have, and reads a whole
pipeline where another index would find one row; with ANALYZE the plans would hang on when that was
run last. These figures are written into `sqlite_stat1` at each opening instead, so that the plans
are the same for every store, and those that a big one needs (tests hold them). A small store is
quick with any.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

#: Rows of a table, and how many values a column has, of those that an index begins with.
_ROWS = 1_000_000
_VALUES: Mapping[str, int] = {
    "account": 2,
    "category": 4,
    "component_id": 20,
    "pipeline_id": 100,
    "queue": 4,
    "scheduled_start": 1_000,
    "status": 6,
    "worker_group": 10,
}
#: Of any other column.
_MANY = 100_000
#: Of how many rows one stands in a partial index.
_PART = 100
#: Small whatever the rest grows to: a scan of them costs nothing.
_FEW = {"pipelines": 1_000, "schedules": 1_000, "runs": 100, "pauses": 100, "definitions": 2_000}


def write_statistics(connection: sqlite3.Connection) -> None:
    """Replace what SQLite knows of every index; for connections that are opened from now on."""
    execute = connection.execute
    execute("ANALYZE sqlite_schema")  # makes the table where it is missing
    tables = [name for (name,) in execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    rows = [row for table in tables for row in _of_table(connection, table)]
    if sorted(rows) == sorted(execute("SELECT tbl, idx, stat FROM sqlite_stat1")):
        return
    execute("BEGIN IMMEDIATE")
    execute("DELETE FROM sqlite_stat1")
    connection.executemany("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", rows)
    execute("COMMIT")


def _of_table(connection: sqlite3.Connection, table: str) -> Iterator[tuple[str, str, str]]:
    for _, name, is_unique, _, is_partial in connection.execute(f'PRAGMA index_list("{table}")'):
        found = connection.execute(f'PRAGMA index_info("{name}")').fetchall()
        columns = [cast(str, column) for _, _, column in found]
        rows = _FEW.get(table, _ROWS) // (_PART if is_partial else 1)
        figures = _figures(rows, columns, is_unique=bool(is_unique))
        yield table, name, " ".join(map(str, figures))


def _figures(rows: int, columns: Iterable[str], *, is_unique: bool) -> list[int]:
    """How many rows there are, and how many share the first columns of an index: one, two, ..."""
    figures = [rows]
    for column in columns:
        figures.append(max(1, figures[-1] // _VALUES.get(column, _MANY)))
    if is_unique:
        figures[-1] = 1
    return figures
