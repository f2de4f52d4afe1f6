"""INSERT row by row into PostgreSQL, so that a row which is refused is known by its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from taskrunner.data.databases.postgresql_errors import is_of_rows


class RefusedRow(Exception):
    """The server refuses one of some rows."""

    def __init__(self, error: psycopg.Error, row: int) -> None:
        self.error, self.row = error, row
        super().__init__(str(error))


def insert_behind_savepoint(
    connection: psycopg.Connection[Any], statement: str, rows: Sequence[Sequence[object]]
) -> None:
    """Insert rows, all at once; raises RefusedRow for one that the server does not take.

    It does not say which. So they are undone then, and tried one by one.
    """
    connection.execute(b"SAVEPOINT taskrunner_insert")
    with connection.cursor() as cursor:
        try:
            cursor.executemany(statement.encode(), rows)
        except psycopg.Error as error:
            if is_of_rows(error):
                connection.execute(b"ROLLBACK TO SAVEPOINT taskrunner_insert")
                for number, row in enumerate(rows, 1):
                    try:
                        cursor.execute(statement.encode(), row)
                    except psycopg.Error:
                        raise RefusedRow(error, number) from error
            raise
    connection.execute(b"RELEASE SAVEPOINT taskrunner_insert")
