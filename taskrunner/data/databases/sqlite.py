"""SQLite files. Their path is that of the host which runs the activity."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from taskrunner.data.databases.base import (
    Converters,
    Database,
    Result,
    Row,
    RowRefusedError,
    TargetColumn,
)
from taskrunner.data.databases.batches import in_batches
from taskrunner.data.databases.dialect import Dialect, Family
from taskrunner.data.databases.schemes import SQLITE
from taskrunner.data.databases.script import Statement
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.databases.sqlite_files import SqliteFiles
from taskrunner.data.databases.sqlite_values import RowReader, column_of, converter_of
from taskrunner.errors import ErrorId, PathNotAllowed, TaskError

#: Rows of a megabyte must not fill the memory, and taking the rights for each would be slow.
_AT_ONCE = 16
_BUSY_TIMEOUT_S = 60.0
_ERROR_IDS = {
    sqlite3.SQLITE_AUTH: ErrorId.ACCESS_DENIED,
    sqlite3.SQLITE_PERM: ErrorId.ACCESS_DENIED,
    sqlite3.SQLITE_READONLY: ErrorId.ACCESS_DENIED,
    sqlite3.SQLITE_CANTOPEN: ErrorId.CONNECTION_FAILED,
    sqlite3.SQLITE_NOTADB: ErrorId.CONNECTION_FAILED,
    sqlite3.SQLITE_IOERR: ErrorId.CONNECTION_FAILED,
    sqlite3.SQLITE_FULL: ErrorId.STORAGE_FULL,
}


DIALECT = Dialect(
    quoted=r"'[^']*+'|\"[^\"]*+\"|`[^`]*+`|\[[^\]]*+\]",
    comment=r"--[^\n]*+|/\*.*?(?:\*/|\Z)",
    opening=r"'|\"|`|/\*",
    family=Family.SQLITE,
)


class SqliteDatabase(Database):
    """A SQLite file; it is created by the first statement that writes."""

    scheme = SQLITE
    dialect = DIALECT
    _opened: sqlite3.Connection | None = None
    _managed = False

    def __init__(self, spec: DatabaseSpec) -> None:
        super().__init__(spec)
        self._files = SqliteFiles(self._path, spec.local)

    def connect(self) -> None:
        """See that the file is there, or could be made."""
        self.spec.local.check(self._path)
        with self.spec.local.rights():
            found = os.path.isdir(self._path.parent)  # noqa: PTH112  false where it is closed
        if not found:
            message = f"cannot open the {self.spec}: there is no folder {self._path.parent}"
            raise TaskError(message, error_id=ErrorId.NOT_FOUND)

    def close(self) -> None:
        """Close the file; an open transaction is undone."""
        if self._opened is not None:
            # The last one to close it removes its journal.
            with suppress(sqlite3.Error), self.spec.local.rights():
                self._opened.close()

    @contextmanager
    def stream(self, query: str) -> Iterator[Result]:
        """Step through a query's rows."""
        if not self._exists():
            message = f"cannot read the {self.spec}: there is no such file"
            raise TaskError(message, error_id=ErrorId.NOT_FOUND)
        with self._problems("run the query"):
            cursor = self._connection.execute(query)
        with ExitStack() as ending:
            ending.callback(self._end, cursor)
            columns = tuple(column[0] for column in cursor.description or ())
            read = self._rows(cursor)
            yield Result(columns=columns, batches=in_batches(read, columns, source=str(self.spec)))

    def find_table(self, table: str, schema: str | None = None) -> str | None:
        """Look a table or view up in the file's own list."""
        schema, table = self.split_name(table, schema)
        if not self._exists():
            return None
        prefix = f"{self.quote(schema)}." if schema else ""
        query = (
            f"SELECT name FROM {prefix}sqlite_master "  # noqa: S608  the name is quoted
            "WHERE type IN ('table', 'view') AND lower(name) = lower(?)"
        )
        with self._problems("look for the table"):
            found = self._connection.execute(query, (table,)).fetchone()
        return None if found is None else prefix + self.quote(found[0])

    def target_columns(self, table: str) -> Sequence[TargetColumn]:
        """The columns as they were declared."""
        schema, _, name = table.rpartition(".")
        prefix = f"{schema}." if schema else ""
        with self._problems(f"look at table {name}"):
            rows = self._connection.execute(f"PRAGMA {prefix}table_xinfo({name})").fetchall()
        return [column_of(row) for row in rows]

    def converters(self, table: str, columns: Sequence[str]) -> Converters:
        """Columns whose declared type has BLOB in it, as LONGBLOB or BLOB(16), take bytes."""
        # To SQLite a name is the same in any case.
        known = {column.name.lower(): column for column in self.target_columns(table)}
        shown = [name for name, column in known.items() if not column.is_hidden]
        names = [name.lower() for name in columns] or shown
        return {n: converter_of(known[name].type) for n, name in enumerate(names) if name in known}

    def prepare_load(self) -> None:
        """Take the write lock first, so that nothing has to be tried twice."""
        with self._problems("begin a transaction"):
            self._connection.execute("BEGIN IMMEDIATE")

    def refuses_rows(self, error: TaskError) -> bool:
        """Constraints that are violated."""
        of_row = isinstance(error.__cause__, sqlite3.IntegrityError)
        cause = error.__cause__.__cause__ if error.__cause__ is not None else None
        return super().refuses_rows(error) or of_row or isinstance(cause, sqlite3.IntegrityError)

    def insert(self, statement: Statement, rows: Iterable[Sequence[object]]) -> None:
        """Insert rows."""
        sql = statement.with_markers("?", percent="%")
        # What makes the rows is not to run with other rights.
        rows = list(rows)
        count = 0

        def counted() -> Iterator[Sequence[object]]:
            nonlocal count
            for count, row in enumerate(rows, 1):  # noqa: B007  it is the last one that was taken
                yield row

        try:
            with self._problems("insert rows"):
                self._connection.executemany(sql, counted())
        except PathNotAllowed:
            raise
        except TaskError as error:
            raise RowRefusedError(str(error), error_id=error.error_id, row=count) from error

    def execute(self, statement: Statement, values: Sequence[str] | None, *, alone: bool) -> int:
        """Run one statement; it is stepped to its end, for its effects."""
        sql = statement.text if values is None else statement.with_markers("?", percent="%")
        if alone and not self._managed:
            self.commit()
        with self._problems(f"run the {statement.kind} in line {statement.line}"):
            if not (alone or self._connection.in_transaction):
                self._connection.execute("BEGIN")
            with closing(self._connection.execute(sql, values or ())) as cursor:
                for _ in cursor:
                    pass
                return cursor.rowcount

    def begin_script(self, *, own_transactions: bool) -> bool:
        """Begin none, where the script has its own."""
        self._managed = own_transactions
        return True

    def in_transaction(self) -> bool | None:
        """SQLite tells; nothing can be open in a file that is not."""
        return self._opened is not None and self._opened.in_transaction

    def commit(self) -> None:
        """End the transaction, if one is open."""
        with self._problems("commit"):
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")

    @property
    def _path(self) -> Path:
        return Path(self.spec.database)

    def _exists(self) -> bool:
        with self.spec.local.rights():
            return os.path.exists(self._path)  # noqa: PTH110  false where it cannot be known

    def _end(self, cursor: sqlite3.Cursor) -> None:
        with self.spec.local.rights():
            cursor.close()

    @property
    def _connection(self) -> sqlite3.Connection:
        """Opened when first used, since opening makes the file; with the rights held."""
        if self._opened is None:
            self._opened = self._files.open(timeout_s=_BUSY_TIMEOUT_S)
        return self._opened

    def _rows(self, cursor: sqlite3.Cursor) -> Iterator[Row]:
        reader = RowReader([column[0] for column in cursor.description or ()])
        while True:
            with self._problems(f"read the rows behind row {reader.rows}"):
                rows = cursor.fetchmany(_AT_ONCE)
            if not rows:
                return
            yield from map(reader.read, rows)

    @contextmanager
    def _problems(self, doing: str) -> Iterator[None]:
        """Call SQLite with the rights that its files are opened with; tell its errors as ours."""
        try:
            with self.spec.local.rights():
                yield
        except (sqlite3.Error, UnicodeError, OverflowError) as error:
            if refusal := self._files.refusal():
                raise refusal from error
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            message = f"cannot {doing}: {self.spec}: {error}"
            error_id = _ERROR_IDS.get(code, ErrorId.ACTIVITY_FAILED)
            raise TaskError(message, error_id=error_id) from error
