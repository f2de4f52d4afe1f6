"""Rows into a table by INSERT statements: one that is made for the table, or the author's own."""

from __future__ import annotations

from collections.abc import Sequence

from taskrunner.data.databases.base import (
    Converters,
    Database,
    RowRefusedError,
    Target,
)
from taskrunner.data.databases.script import Statement, parse_statement
from taskrunner.data.fitting.columns import (
    Batch,
    Fitting,
    Row,
    TargetColumn,
    columns_of_rows,
    names_as_declared,
)
from taskrunner.errors import ErrorId, PathNotAllowed, PermanentTaskError, TaskError
from taskrunner.secret import quoted


class Inserter:
    """Puts batches of rows into a target by an INSERT statement."""

    def __init__(self, database: Database, target: Target, *, width: int) -> None:
        self._database = database
        self._converters: Converters = {}
        self._table = target.full_name
        columns: Sequence[TargetColumn | None]
        if target.insert_query:
            self._statement = self._given(target.insert_query, width)
            # Its patterns take a while to make, and few loads need them.
            from taskrunner.data.databases.insert_query import placed

            found = placed(self._statement, database)
            columns = found.columns
            if found.table is not None:
                # What goes through an expression is given as the text that it is.
                names = tuple(column.name if column is not None else "" for column in columns)
                self._converters = database.converters(found.table, names)
        else:
            table = database.table(target.table, target.schema)
            known = database.target_columns(table)
            columns = columns_of_rows(known, target.columns, table=self._table, width=width)
            names = names_as_declared(target.columns, known)
            if not names and any(column.is_generated for column in known):
                names = tuple(column.name for column in columns if column is not None)
            self._statement = self._made(table, names, width)
            self._converters = database.converters(table, names)
        self._fitting = Fitting(columns, target.on_lossy_value, table=self._table)

    def insert(self, batch: Batch, *, first: int) -> None:
        """Insert a batch; `first` is the number of its first row, for messages."""
        batch = self._fitting.fit(batch, first=first)
        try:
            rows = map(self._convert, batch) if self._converters else batch
            self._database.insert(self._statement, rows)
        except PathNotAllowed:  # whichever rows it was
            raise
        except RowRefusedError as error:
            row = first + error.row - 1
            message = f"{error} (in row {row} for table {self._table!r})"
            raise RowRefusedError(message, error_id=error.error_id, row=row) from error
        except TaskError as error:
            last = first + len(batch) - 1
            message = f"{error} (in rows {first} to {last} for table {self._table!r})"
            raise error.told(message) from error

    def _given(self, query: str, width: int) -> Statement:
        statement = parse_statement(query, self._database.session_dialect(), percent_s=True)
        if statement.placeholders != width:
            message = (
                f"insertQuery has {statement.placeholders} placeholders ('?') "
                f"for rows of {width} values: {quoted(query, 200)}"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        return statement

    def _made(self, table: str, columns: Sequence[str], width: int) -> Statement:
        names = ", ".join(self._database.quote(name) for name in columns)
        named = f" ({names})" if names else ""
        head = f"INSERT INTO {table}{named}{self._database.before_values} VALUES ("  # noqa: S608  the names are quoted
        parts = (head, *[", "] * (width - 1), ")")
        return Statement(parts=parts, line=1, verb="INSERT", text="?".join(parts))

    def _convert(self, row: Row) -> Sequence[object]:
        values: list[object] = list(row)
        for position, convert in self._converters.items():
            value = row[position]
            if value is not None:
                values[position] = convert(value)
        return values
