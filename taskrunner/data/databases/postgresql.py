"""PostgreSQL, by psycopg with its conversions off: values are the server's text."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import Any, ClassVar, cast

import psycopg
from psycopg import pq, sql

from taskrunner.data.databases.base import (
    Batch,
    Database,
    Result,
    Row,
    RowRefusedError,
    Target,
    TargetColumn,
)
from taskrunner.data.databases.batches import in_batches
from taskrunner.data.databases.dialect import Dialect
from taskrunner.data.databases.lasting import lasting_settings
from taskrunner.data.databases.libpq import parameters_of, without_environment
from taskrunner.data.databases.lines_in import FileRows
from taskrunner.data.databases.postgresql_columns import (
    COLUMNS,
    PLAIN_COLUMNS,
    WHOLE_KEY,
    column_of,
)
from taskrunner.data.databases.postgresql_copy import Copy, columns_of
from taskrunner.data.databases.postgresql_dialect import STANDARD, assumed_after, dialect_of
from taskrunner.data.databases.postgresql_errors import (
    error_id_of,
    is_of_rows,
    line_of,
    reason_of,
)
from taskrunner.data.databases.postgresql_insert import RefusedRow, insert_behind_savepoint
from taskrunner.data.databases.postgresql_load import pieces_of_rows, told_pieces
from taskrunner.data.databases.postgresql_results import type_of
from taskrunner.data.databases.postgresql_text import TextOnly
from taskrunner.data.databases.schemes import POSTGRESQL
from taskrunner.data.databases.script import Statement
from taskrunner.data.databases.text import Lines, NotAsText, TextResult
from taskrunner.data.databases.tls import Way, connect_by, host_rules, ways_of
from taskrunner.data.fitting.columns import names_as_declared
from taskrunner.data.formats.encoding import Escapes
from taskrunner.data.formats.quoting import TextDialect
from taskrunner.data.formats.server_text import copies, from_copy
from taskrunner.errors import TaskError

#: So many rows the client library holds at once, however large they are.
_ROWS_AT_ONCE = 4
#: Larger pieces would pile up in the client library's memory.
_COPY_PIECE = 1 << 16
#: The first version of the client library that can read rows in chunks.
_CHUNKS_SINCE = 170000
_GENERATES_SINCE = 120000
_RECURSES_SINCE = 90000
#: A stream that is closed early stops the query.
_Rows = Generator[tuple[str | None, ...], None, None]
#: active_sql_transaction, and what a procedure is told that commits within one.
_REFUSES_TRANSACTION = {"25001", "2D000"}
_IDLE = pq.TransactionStatus.IDLE
_ANSWERS = {"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN"}


DIALECT = STANDARD


class PostgreSqlDatabase(Database):
    """A connection whose sessions are in UTC, ISO dates and UTF-8."""

    scheme = POSTGRESQL
    dialect = DIALECT
    settings: ClassVar[Mapping[str, str]] = {
        "timezone": "UTC",
        "datestyle": "ISO, YMD",
        "intervalstyle": "postgres",
        "bytea_output": "hex",
        # All the digits that it takes to read the same number back; newer servers do it anyway.
        "extra_float_digits": "3",
        "standard_conforming_strings": "on",
    }
    #: COPY takes values for columns that are GENERATED ALWAYS AS IDENTITY, too.
    before_values: ClassVar[str] = " OVERRIDING SYSTEM VALUE"
    #: Whether the server writes rows by COPY ... TO STDOUT.
    copies_out: ClassVar[bool] = True
    #: More of the client library's own.
    parameters: ClassVar[Mapping[str, Any]] = {}
    #: Whether the transaction is to last, since what is read is of its moment.
    _is_snapshot = False
    _connection: psycopg.Connection[tuple[str | None, ...]]

    def connect(self) -> None:
        """Connect and set the session up."""
        options = self.spec.options
        parameters = {**parameters_of(self.spec), **self.parameters}

        def connected(way: Way) -> psycopg.Connection[Any]:
            of_tls = {"sslmode": way.mode, "sslrootcert": way.ca}
            given = {k: v for k, v in {**parameters, **of_tls}.items() if v is not None}
            with without_environment():
                return psycopg.connect(
                    **given, context=TextOnly, prepare_threshold=None, autocommit=True
                )

        with self._problems("connect"):
            ways = ways_of(self.spec, is_ruled=host_rules())
            self._connection = connect_by(ways, connected, self.spec)
            version = self._connection.info.server_version
            settings = {**self.settings, **lasting_settings(version)}
            if options.search_path:
                settings["search_path"] = options.search_path
            for name, value in settings.items():
                self._set(name, value)
            self._connection.autocommit = False

    def close(self) -> None:
        """Hang up; what was not committed is undone."""
        connection = getattr(self, "_connection", None)
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    @contextmanager
    def stream(self, query: str) -> Iterator[Result]:
        """Read a query's rows as the server sends them."""
        statement = self._single(query)
        cursor = self._connection.cursor()
        size = _ROWS_AT_ONCE if pq.version() >= _CHUNKS_SINCE else 1
        rows = cast(_Rows, cursor.stream(statement, size=size))
        with closing(cursor), closing(rows):
            # The columns are known when the first rows have come.
            with self._problems("run the query"):
                first = list(islice(rows, 1))
            described = cursor.description
            names = tuple(c.name for c in described or ())
            columns = names or columns_of(self._connection, statement)
            read = chain(first, self._rows(rows))
            batches = in_batches(read, columns, source=str(self.spec))
            types = tuple(map(type_of, described or ()))
            yield Result(columns=columns, batches=batches, types=types)

    @contextmanager
    def stream_text(self, query: str, escapes: TextDialect) -> Iterator[TextResult | None]:
        """Have the server write the rows by COPY, where it can for this query."""
        with self._problems("run the query"):
            columns = self._copyable(query, escapes)
            copy = Copy(self._connection)
            begun = bool(columns) and copy.begin_reading(query, escapes)
            if not begun and not self._is_snapshot:
                self._connection.rollback()
        if not begun and columns and self._is_snapshot:
            raise NotAsText  # and what the transaction saw is lost
        if not begun:
            yield None
            return
        yield TextResult(columns=columns, lines=self._lines(copy, columns, escapes))

    def find_table(self, table: str, schema: str | None = None) -> str | None:
        """Look a table or view up as written, and failing that in lower case, as SQL would."""
        schema, table = self.split_name(table, schema)
        query = (
            "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c"
            " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relname IN (%s, %s) AND c.relkind IN ('r', 'v', 'm', 'f', 'p') AND "
        )
        values = [table, table.lower()]
        if schema is None:
            query += "pg_catalog.pg_table_is_visible(c.oid)"
        else:
            query += "n.nspname IN (%s, %s)"
            values += [schema, schema.lower()]
        query += " ORDER BY c.relname = %s DESC, n.nspname = %s DESC LIMIT 1"
        with self._problems("look for the table"), self._client_cursor() as cursor:
            found = cursor.execute(query, [*values, table, schema or ""]).fetchone()
        return None if found is None else self.quote(*[str(name) for name in found])

    def load(self, target: Target, batches: Iterable[Batch]) -> int:
        """Load rows by COPY, or by the author's own INSERT."""
        if target.insert_query:
            return super().load(target, batches)
        self.ensure_table(target)
        table = self.table(target.table, target.schema)
        if self._is_view(table):
            # COPY knows none, and INSERT those that can be written to.
            return super().load(target, batches)
        known = self.target_columns(table)
        columns = names_as_declared(target.columns, known)
        names = ", ".join(self.quote(name) for name in columns)
        into = f"{table} ({names})" if names else table
        if isinstance(batches, FileRows) and batches.escapes and self._takes(batches):
            pieces = told_pieces(batches, batches.escapes, known, target)
        else:
            pieces = pieces_of_rows(batches, known, target)
        count, doing = 0, f"load into table {table}"
        with self._problems(doing):
            copy = Copy(self._connection)
            for dialect, some in groupby(pieces, key=itemgetter(0)):
                try:
                    count += copy.load(into, (data for _, data in some), dialect)
                except psycopg.Error as error:
                    if not isinstance(dialect, Escapes) or not (line := line_of(error)):
                        raise
                    raise self._refused(doing, error, count + line) from error
        self.commit_load()
        return count

    def target_columns(self, table: str) -> Sequence[TargetColumn]:
        """The columns as the server's own tables have them."""
        version = self._connection.info.server_version
        made = "a.attgenerated::text" if version >= _GENERATES_SINCE else "''::text"
        query = COLUMNS.format(made) if version >= _RECURSES_SINCE else PLAIN_COLUMNS
        with self._problems(f"look at table {table}"), self._client_cursor() as cursor:
            rows = cursor.execute(query, [table]).fetchall()
            return [column_of(row, self.target_columns) for row in rows]

    def whole_key(self, table: str) -> str | None:
        """By the catalog."""
        with self._problems(f"look at table {table}"), self._client_cursor() as cursor:
            found = cursor.execute(WHOLE_KEY, [table]).fetchall()
        return self.quote(str(found[0][0])) if len(found) == 1 and found[0][1] == "t" else None

    def begin_snapshot(self) -> None:
        """A transaction that sees what was there when its first query began."""
        with self._problems("begin"):
            self._connection.commit()
            self._connection.execute(b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            self._is_snapshot = True

    def share_snapshot(self, others: Sequence[Database], table: str) -> None:
        """By an exported snapshot, which this connection has to hold until the others have it."""
        with self._problems("share a snapshot"):
            found = self._connection.execute(b"SELECT pg_catalog.pg_export_snapshot()").fetchone()
            name = str(found[0]) if found else ""
            for other in others:
                assert isinstance(other, PostgreSqlDatabase)  # noqa: S101  of the same database
                other.begin_snapshot()
                other._connection.execute(
                    f"SET TRANSACTION SNAPSHOT {sql.Literal(name).as_string(TextOnly)}".encode()
                )

    def prepare_load(self) -> None:
        """Nothing to do: there is no mode in which this server would change less."""

    def refuses_rows(self, error: TaskError) -> bool:
        """Data exceptions and violated constraints, by their codes."""
        return super().refuses_rows(error) or is_of_rows(error.__cause__)

    def insert(self, statement: Statement, rows: Iterable[Sequence[object]]) -> None:
        """Insert rows."""
        text, rows = statement.with_markers("%s", percent="%%"), [*rows]
        with self._problems("insert rows"):
            if not self.has_savepoints:
                self._connection.cursor().executemany(text, rows)
                return
            try:
                insert_behind_savepoint(self._connection, text, rows)
            except RefusedRow as found:
                raise self._refused("insert rows", found.error, found.row) from found.error

    def execute(self, statement: Statement, values: Sequence[str] | None, *, alone: bool) -> int:
        """Run one statement, its values written into it as literals: that works in any."""
        with self._problems(f"run the {statement.kind} in line {statement.line}"):
            if not alone or self._connection.autocommit:
                return self._execute(statement, values)
            self._connection.commit()
            self._connection.autocommit = True
            try:
                return self._execute(statement, values)
            finally:
                # Of a connection that is lost nothing can be set any more.
                with suppress(psycopg.Error):
                    self._connection.autocommit = False

    def execute_perhaps_alone(self, statement: Statement, values: Sequence[str] | None) -> int:
        """Run one statement in the transaction, or behind it where the server refuses that."""
        doing = f"run the {statement.kind} in line {statement.line}"
        with self._problems(doing):
            self._connection.execute(b"SAVEPOINT taskrunner")
            try:
                count = self._execute(statement, values)
            except psycopg.Error as error:
                if error.sqlstate not in _REFUSES_TRANSACTION:
                    raise
                self._connection.execute(b"ROLLBACK TO SAVEPOINT taskrunner")
            else:
                self._connection.execute(b"RELEASE SAVEPOINT taskrunner")
                return count
        return self.execute(statement, values, alone=True)

    def begin_reading(self) -> None:
        """Let the role's, database's or server's own standard_conforming_strings hold."""
        with self._problems("set the session up"):
            self._connection.execute(b"RESET standard_conforming_strings")
            self._connection.commit()

    def session_dialect(self) -> Dialect:
        """As the session's standard_conforming_strings has it, which the server tells unasked."""
        value = self._connection.pgconn.parameter_status(b"standard_conforming_strings") or b"on"
        return dialect_of(value.decode())

    def dialect_after(self, statement: Statement, dialect: Dialect) -> Dialect | None:
        """By what the statement sets."""
        return assumed_after(statement.text)

    def begin_script(self, *, own_transactions: bool) -> bool:
        """Have each statement commit by itself, where the script says what is one transaction."""
        with self._problems("begin"):
            self._connection.commit()
            self._connection.autocommit = own_transactions
        return True

    def in_transaction(self) -> bool | None:
        """The server tells with each answer; None when the connection is lost."""
        status = self._connection.info.transaction_status
        return None if status is pq.TransactionStatus.UNKNOWN else status is not _IDLE

    def place_of(self, error: BaseException) -> int | None:
        """Where the server says that a statement is wrong."""
        diagnosis = getattr(error, "diag", None)
        position = diagnosis.statement_position if diagnosis else None
        return int(position) - 1 if position else None

    def commit(self) -> None:
        """Commit."""
        with self._problems("commit"):
            self._connection.commit()
            self._is_snapshot = False

    def _execute(self, statement: Statement, values: Sequence[str] | None) -> int:
        with self._client_cursor() as cursor:
            text = statement.text
            if values is not None:
                text = cursor.mogrify(statement.with_markers("%s", percent="%%"), values)
            query = sql.SQL(text)
            if statement.data is not None:
                with cursor.copy(query) as copy:
                    for start in range(0, len(statement.data), _COPY_PIECE):
                        copy.write(statement.data[start : start + _COPY_PIECE])
                return cursor.rowcount
            if statement.verb in _ANSWERS:
                # An answer that nobody wants must not fill the memory.
                return sum(1 for _ in cursor.stream(query))
            return cursor.execute(query).rowcount

    def _rows(self, rows: Iterator[Row]) -> Iterator[Row]:
        with self._problems("read the rows"):
            yield from rows

    def _copyable(self, query: str, escapes: TextDialect) -> tuple[str, ...]:
        """The columns of what COPY may be asked for: the query alone has to be one statement."""
        encoding = self._connection.pgconn.parameter_status(b"server_encoding")
        if not self.copies_out or not copies(escapes) or encoding == b"SQL_ASCII":
            return ()
        return columns_of(self._connection, self._single(query))

    def _lines(self, copy: Copy, columns: Sequence[str], escapes: TextDialect) -> Iterator[Lines]:
        in_dialect = from_copy(escapes)
        with self._problems("read the rows"):
            for some in copy.lines(columns, escapes, source=str(self.spec)):
                yield Lines(in_dialect(some.data), some.rows)

    def _takes(self, rows: FileRows) -> bool:
        """Whether the server reads the lines of files, and is sure to see what is no text."""
        encoding = self._connection.pgconn.parameter_status(b"server_encoding")
        dialect = rows.escapes
        return dialect is not None and copies(dialect) and encoding != b"SQL_ASCII"

    def _single(self, query: str) -> sql.SQL:
        return sql.SQL(query.strip().rstrip(";"))

    def _is_view(self, table: str) -> bool:
        query = "SELECT relkind = 'v' FROM pg_catalog.pg_class WHERE oid = %s::regclass"
        with self._problems(f"look at table {table}"), self._client_cursor() as cursor:
            return cursor.execute(query, [table]).fetchone() == ("t",)

    def _refused(self, doing: str, error: psycopg.Error, row: int) -> RowRefusedError:
        message = self.spec.mask(f"cannot {doing}: {self.spec}: {reason_of(error)}")
        return RowRefusedError(message, error_id=error_id_of(error), row=row)

    def _client_cursor(self) -> psycopg.ClientCursor[tuple[str | None, ...]]:
        return psycopg.ClientCursor(self._connection)

    def _set(self, name: str, value: str) -> None:
        literal = sql.Literal(value).as_string(TextOnly)
        self._connection.execute(f"SET {name} TO {literal}".encode())

    @contextmanager
    def _problems(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, UnicodeError) as error:
            message = self.spec.mask(f"cannot {doing}: {self.spec}: {reason_of(error)}")
            raise TaskError(message, error_id=error_id_of(error)) from error
