r"""MySQL and MariaDB, by PyMySQL with its conversions off: every value is the server's own text.

Two kinds of value have no text that would survive: binary strings are given as `\x` and
hexadecimal digits, BIT values as the number that they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import pymysql
from pymysql.constants import CLIENT, COMMAND, SERVER_STATUS
from pymysql.cursors import Cursor, SSCursor

from taskrunner.data.databases import mysql_binary
from taskrunner.data.databases.base import (
    Batch,
    Converters,
    Database,
    Result,
    Row,
    RowRefusedError,
    Target,
    TargetColumn,
)
from taskrunner.data.databases.batches import in_batches
from taskrunner.data.databases.dialect import Dialect
from taskrunner.data.databases.insert import Inserter
from taskrunner.data.databases.lasting import LASTING_SESSION, keep_alive
from taskrunner.data.databases.mysql_columns import column_of, converter_of, whole_key
from taskrunner.data.databases.mysql_dialect import assumed_after, dialect_of
from taskrunner.data.databases.mysql_errors import code_of, error_id_of, is_of_rows, reason_of
from taskrunner.data.databases.mysql_insert import (
    engine_of,
    first_change,
    is_repeatable,
    pieces,
    row_refused,
)
from taskrunner.data.databases.mysql_lines import LineReader, begin_lines
from taskrunner.data.databases.mysql_load import LineLoader, plan_of, takes_lines
from taskrunner.data.databases.mysql_results import CONVERSIONS, type_of
from taskrunner.data.databases.mysql_snapshot import begun_together
from taskrunner.data.databases.mysql_tls import TlsConnection, tls_options
from taskrunner.data.databases.mysql_zero_dates import ZeroDateReader
from taskrunner.data.databases.properties import ZeroDates
from taskrunner.data.databases.schemes import MYSQL
from taskrunner.data.databases.script import Statement
from taskrunner.data.databases.text import Lines, TextResult
from taskrunner.data.databases.tls import Way, connect_by, ways_of
from taskrunner.data.fitting.rules import OnLossyValue
from taskrunner.data.formats.quoting import TextDialect
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

#: Of an answer that nobody wants.
_AT_ONCE = 1000
_NO_SUCH_TABLE = {1049, 1146}
#: What the library raises besides its own errors when the other side is no MySQL server.
_FAILURES = (pymysql.err.Error, OSError, RuntimeError, struct.error, UnicodeError, IndexError)


DIALECT = dialect_of(())


class MySqlDatabase(Database):
    """A connection whose sessions are in UTC and utf8mb4."""

    scheme = MYSQL
    dialect = DIALECT
    table_options = " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
    _connection: pymysql.Connection[Cursor]
    _read_as = DIALECT
    #: The session's mode is not known, or not any more.
    _asks_mode = True
    #: Whether the table of the load that runs takes lines.
    _takes_lines = False

    def connect(self) -> None:
        """Connect, with TLS where the options ask for it or the server offers it."""
        spec = self.spec
        with self._problems("connect"):
            self._connection = connect_by(ways_of(spec), self._connected, spec)
            # Afterwards an answer may take its time: the stubs leave the attribute out.
            setattr(self._connection, "_read_timeout", spec.options.socket_timeout_s)  # noqa: B010
            keep_alive(getattr(self._connection, "_sock"))  # noqa: B009  likewise

    def _connected(self, way: Way) -> pymysql.Connection[Cursor]:
        spec = self.spec
        return TlsConnection(
            host=spec.host,
            port=spec.port,
            user=spec.username or "",
            password=spec.password or "",
            database=spec.database or None,
            charset="utf8mb4",
            conv=CONVERSIONS,
            autocommit=False,
            connect_timeout=max(1, round(spec.options.connect_timeout_s)),
            # A port that accepts and stays silent must not hold up the handshake.
            read_timeout=spec.options.connect_timeout_s,
            write_timeout=spec.options.socket_timeout_s,
            # That it may ask for files is said for `mysql_load`; nothing else gives it any.
            client_flag=CLIENT.FOUND_ROWS | CLIENT.LOCAL_FILES,
            program_name="taskrunner",
            init_command=LASTING_SESSION,
            local_infile=False,
            **tls_options(way),
        )

    def close(self) -> None:
        """Hang up; the server undoes what was not committed, and stops sending."""
        with suppress(*_FAILURES):
            self._connection.close()

    @contextmanager
    def stream(self, query: str) -> Iterator[Result]:
        """Read a query's rows as the server sends them."""
        with self._problems("run the query"):
            cursor = self._connection.cursor(SSCursor)
            mysql_binary.execute(cursor, query)
        try:
            columns = tuple(column[0] for column in cursor.description or ())
            types = tuple(map(type_of, _result(cursor).fields or ()))
            yield Result(columns=columns, batches=self._batches(cursor, columns), types=types)
        finally:
            if _result(cursor).unbuffered_active:
                # The cursor would read the rest of the rows, which may be many, as it closes.
                _abandon(cursor)
                self.close()
            else:
                cursor.close()

    @contextmanager
    def stream_text(self, query: str, escapes: TextDialect) -> Iterator[TextResult | None]:
        """Have the server write the lines, where that gives the same bytes as its rows."""
        query = query.strip().rstrip(";")
        reader = None
        if self.spec.options.zero_dates is ZeroDates.KEEP:
            reader = begin_lines(self._connection, query, escapes, source=str(self.spec))
        if reader is None:
            yield None
            return
        try:
            yield TextResult(columns=reader.names, lines=self._lines(reader))
        finally:
            if not reader.is_done:
                # The library would take the rest of the lines for the answer to what comes next.
                self.close()

    def find_table(self, table: str, schema: str | None = None) -> str | None:
        """Ask the server by selecting nothing: it knows its own rules about case."""
        schema, table = self.split_name(table, schema)
        name = self.quote(schema, table) if schema else self.quote(table)
        try:
            with (
                self._problems(f"look at table {name}"),
                closing(self._connection.cursor()) as cursor,
            ):
                cursor.execute(f"SELECT * FROM {name} LIMIT 0")  # noqa: S608  it is quoted
        except TaskError as error:
            if error.__cause__ is not None and code_of(error.__cause__) in _NO_SUCH_TABLE:
                return None
            raise
        return name

    def target_columns(self, table: str) -> Sequence[TargetColumn]:
        """The columns as the server describes them; of a view's, too."""
        with self._problems(f"look at table {table}"), closing(self._connection.cursor()) as cursor:
            cursor.execute(f"SHOW FULL COLUMNS FROM {table}")
            names = [column[0] for column in cursor.description or ()]
            return [column_of(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]

    def converters(self, table: str, columns: Sequence[str]) -> Converters:
        """BIT columns take numbers, binary ones bytes."""
        known = self.target_columns(table)
        by_name = {column.name.lower(): column for column in known}
        taking = [by_name.get(name.lower()) for name in columns] or [
            column for column in known if not column.is_hidden
        ]
        found = {n: converter_of(c.type) for n, c in enumerate(taking) if c is not None}
        return {position: convert for position, convert in found.items() if convert is not None}

    def whole_key(self, table: str) -> str | None:
        """By the server's list of keys."""
        doing = f"look at the keys of table {table}"
        with self._problems(doing), closing(self._connection.cursor()) as cursor:
            cursor.execute(f"SHOW COLUMNS FROM {table} WHERE `Key` = 'PRI'")
            name = whole_key(cursor.fetchall())
        return self.quote(name) if name is not None else None

    def begin_snapshot(self) -> None:
        """A transaction that sees what is there now, whatever the server's own isolation."""
        with self._problems("begin"), closing(self._connection.cursor()) as cursor:
            self._connection.commit()
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")

    def share_snapshot(self, others: Sequence[Database], table: str) -> None:
        """By a lock, for as long as the others begin."""
        with self._problems(f"lock table {table} for a moment, as partitions need"):
            if not begun_together(self._connection, others, table):
                super().share_snapshot(others, table)

    def prepare_load(self) -> None:
        """Make the server refuse what it would otherwise change, whatever its own mode.

        Without NO_AUTO_VALUE_ON_ZERO it would number a row itself whose AUTO_INCREMENT key is 0.
        """
        with self._problems("set the mode"), closing(self._connection.cursor()) as cursor:
            cursor.execute(
                "SET SESSION sql_mode = "
                "CONCAT(@@sql_mode, ',STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'), "
                "SESSION max_error_count = 65535"
            )

    def check_target(self, target: Target) -> None:
        """Refuse tables of engines without transactions, unless a repeated row does no harm."""
        self._takes_lines = False
        name = self.find_table(target.table, target.schema)
        if name is None or is_repeatable(target.insert_query or ""):
            return
        with (
            self._problems(f"look at table {name}"),
            closing(self._connection.cursor()) as cursor,
        ):
            cursor.execute(f"SHOW CREATE TABLE {name}")
            engine = engine_of((cursor.fetchone() or ("", ""))[1])
            self._takes_lines = takes_lines(cursor, engine)
            cursor.execute(
                "SELECT 1 FROM information_schema.ENGINES "
                "WHERE ENGINE = %s AND TRANSACTIONS = 'NO'",
                (engine,),
            )
            if cursor.fetchone() is None:
                return
        message = (
            f"{self.spec}: table {target.full_name!r} has the engine {engine}, which knows no "
            "transactions: a load that is cut off would leave some of its rows, and the next try "
            "would load them again; wanted another engine (ALTER TABLE ... ENGINE=InnoDB), or an "
            "insertQuery that may be repeated (REPLACE, INSERT IGNORE, ON DUPLICATE KEY UPDATE)"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)

    def load_rows(self, target: Target, batches: Iterable[Batch]) -> int:
        """By lines where the server takes them; else, and for what it objects to, by INSERT."""
        if target.insert_query or not self._takes_lines:
            return super().load_rows(target, batches)
        table = self.table(target.table, target.schema)
        known = self.target_columns(table)
        plan = plan_of(batches, known, target)
        if plan is None:
            return super().load_rows(target, batches)
        inserter = Inserter(self, target, width=len(plan.columns))
        loader = LineLoader(
            *(self._connection, table, [self.quote(name) for name in plan.columns]),
            written=plan.written,
            by_rows=lambda batch, first: inserter.insert(batch, first=first),
        )
        with self._problems(f"load into table {table}"):
            return loader.load(plan.lines)

    def refuses_rows(self, error: TaskError) -> bool:
        """Values that are refused and constraints that are violated, by their codes."""
        return super().refuses_rows(error) or is_of_rows(error.__cause__)

    def insert(self, statement: Statement, rows: Iterable[Sequence[object]]) -> None:
        """Insert rows, many to a statement where its form allows it."""
        with self._problems("insert rows"), closing(self._connection.cursor()) as cursor:
            for piece in pieces(statement, rows, cursor.mogrify):
                try:
                    cursor.execute(piece.sql)
                    change = self._change(cursor)
                except pymysql.err.Error as error:
                    row = piece.row_in(reason_of(error)) or row_refused(error, piece, cursor)
                    if row is None:
                        raise
                    raise self._refused(error, row) from error
                if change is not None:
                    message = f"the server changed a value: {change} (error 1265)"
                    raise RowRefusedError(
                        self.spec.mask(f"cannot insert rows: {self.spec}: {message}"),
                        error_id=ErrorId.ACTIVITY_FAILED,
                        row=piece.row_in(change) or piece.first,
                    )

    def _change(self, cursor: Cursor) -> str | None:
        """What the last statement stored other than it was given, though it did not fail."""
        if not _result(cursor).warning_count or self.on_lossy_value is not OnLossyValue.FAIL:
            return None
        cursor.execute("SHOW WARNINGS")
        return first_change(cursor.fetchall())

    def execute(self, statement: Statement, values: Sequence[str] | None, *, alone: bool) -> int:
        """Run one statement; most that change tables end the transaction, as the server has it."""
        sql = statement.text if values is None else statement.with_markers("%s", percent="%%")
        self._asks_mode = self._asks_mode or _may_set_mode(statement)
        with self._problems(f"run the {statement.kind} in line {statement.line}"):
            if not statement.several:
                return self._execute(sql, values)
            self._take_several(True)
            try:
                return self._execute(sql, values)
            finally:
                self._take_several(False)

    def session_dialect(self) -> Dialect:
        """As the session's sql_mode has it; asked for again when a statement may have set it."""
        if self._asks_mode:
            with self._problems("look at the mode"), closing(self._connection.cursor()) as cursor:
                cursor.execute("SELECT @@SESSION.sql_mode")
                (modes,) = cursor.fetchone() or ("",)
            self._read_as, self._asks_mode = dialect_of(str(modes).split(",")), False
        return self._read_as

    def dialect_after(self, statement: Statement, dialect: Dialect) -> Dialect | None:
        """By what the statement sets sql_mode to."""
        return assumed_after(statement.text, dialect)

    def begin_script(self, *, own_transactions: bool) -> bool:
        """Have each statement commit by itself, where the script says what is one transaction."""
        with self._problems("begin"):
            self._connection.autocommit(own_transactions)
        return True

    def in_transaction(self) -> bool | None:
        """The server tells with each answer."""
        status: int = getattr(self._connection, "server_status")  # noqa: B009  not in the stubs
        return bool(status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    def commit(self) -> None:
        """Commit."""
        with self._problems("commit"):
            self._connection.commit()

    def _execute(self, sql: str, values: Sequence[str] | None) -> int:
        with closing(self._connection.cursor(SSCursor)) as cursor:
            cursor.execute(sql, values)
            while cursor.fetchmany(_AT_ONCE) or cursor.nextset():
                pass
            return -1 if cursor.description else int(cursor.rowcount)

    def _take_several(self, on: bool) -> None:
        """Whether the server takes more than one statement at a time; it answers as to a ping."""
        option = 0 if on else 1
        execute = getattr(self._connection, "_execute_command")  # noqa: B009  not in the stubs
        execute(COMMAND.COM_SET_OPTION, struct.pack("<H", option))
        getattr(self._connection, "_read_packet")().check_error()  # noqa: B009

    def _batches(self, cursor: SSCursor, names: Sequence[str]) -> Iterator[Batch]:
        columns = [(field.name, field.type_code) for field in _result(cursor).fields]
        zeros = ZeroDateReader(self.spec.options.zero_dates, columns)
        return map(zeros.read, in_batches(self._rows(cursor), names, source=str(self.spec)))

    def _rows(self, cursor: SSCursor) -> Iterator[Row]:
        with self._problems("read the rows"):
            while (row := cursor.fetchone()) is not None:
                yield row

    def _lines(self, reader: LineReader) -> Iterator[Lines]:
        with self._problems("read the rows"):
            yield from reader.lines()

    @contextmanager
    def _problems(self, doing: str) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            raise TaskError(self._told(doing, error), error_id=error_id_of(error)) from error

    def _refused(self, error: pymysql.err.Error, row: int) -> RowRefusedError:
        return RowRefusedError(
            self._told("insert rows", error), error_id=error_id_of(error), row=row
        )

    def _told(self, doing: str, error: BaseException) -> str:
        return self.spec.mask(f"cannot {doing}: {self.spec}: {reason_of(error)}")


def _may_set_mode(statement: Statement) -> bool:
    """Whether what a statement does can change the session's sql_mode."""
    return statement.verb in {"CALL", "EXECUTE"} or "sql_mode" in statement.text.lower()


def _abandon(cursor: Cursor) -> None:
    """Keep a cursor's destructor from reading on."""
    result = _result(cursor)
    result.unbuffered_active = False
    result.connection = None


def _result(cursor: Cursor) -> Any:
    return getattr(cursor, "_result")  # noqa: B009  the stubs leave it out
