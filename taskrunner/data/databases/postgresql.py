"""PostgreSQL, by psycopg with its conversions off: values are the server's text."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import islice
from typing import Any, ClassVar, cast

import psycopg
from psycopg import adapt, pq, sql
from psycopg.abc import Buffer
from psycopg.types import TypesRegistry
from psycopg.types.none import NoneDumper
from psycopg.types.string import StrDumperUnknown, TextLoader

from taskrunner.data.databases.base import Batch, Database, Result, Target, TargetColumn
from taskrunner.data.databases.dialect import Dialect
from taskrunner.data.databases.lasting import keepalives, lasting_settings
from taskrunner.data.databases.libpq import nothing_of_its_own, without_environment
from taskrunner.data.databases.postgresql_columns import (
    COLUMNS,
    PLAIN_COLUMNS,
    WHOLE_KEY,
    column_of,
)
from taskrunner.data.databases.postgresql_dialect import STANDARD, assumed_after, dialect_of
from taskrunner.data.databases.postgresql_results import type_of
from taskrunner.data.databases.schemes import POSTGRESQL
from taskrunner.data.databases.script import Statement
from taskrunner.data.databases.values import BitDigits
from taskrunner.data.fitting.columns import Fitting, columns_of_rows, fitted
from taskrunner.data.formats.encoding import Encoder, Escapes
from taskrunner.errors import ErrorId, TaskError

_BATCH = 1000
#: Larger pieces would pile up in the client library's memory.
_COPY_PIECE = 1 << 16
#: The first version of the client library that can read rows in chunks.
_CHUNKS_SINCE = 170000
_GENERATES_SINCE = 120000
_RECURSES_SINCE = 90000
#: The types bit and bit varying.
_BITS = (1560, 1562)
_ERROR_IDS = {
    "28": ErrorId.ACCESS_DENIED,
    "42501": ErrorId.ACCESS_DENIED,
    "3D": ErrorId.NOT_FOUND,
    "3F": ErrorId.NOT_FOUND,
    "42P01": ErrorId.NOT_FOUND,
    "08": ErrorId.CONNECTION_FAILED,
    "53300": ErrorId.CONNECTION_FAILED,
    "57P": ErrorId.CONNECTION_FAILED,
    "53100": ErrorId.STORAGE_FULL,
}
#: A refused connection comes without a code, so that its text has to do.
_REFUSED = {
    re.compile("authentication failed|no pg_hba.conf entry|role .* does not exist|no password"): (
        ErrorId.ACCESS_DENIED
    ),
    re.compile("database .* does not exist"): ErrorId.NOT_FOUND,
}
#: COPY wants carriage returns escaped as well.
_COPY_TEXT = Escapes(separator="\t", record_separator="\n", escape="\\", also="\r")
#: A stream that is closed early stops the query.
_Rows = Generator[tuple[str | None, ...], None, None]
#: active_sql_transaction, and what a procedure is told that commits within one.
_REFUSES_TRANSACTION = {"25001", "2D000"}
_IDLE = pq.TransactionStatus.IDLE
_ANSWERS = {"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN"}


DIALECT = STANDARD


class _BitLoader(adapt.Loader):
    """Bits are told from numbers."""

    def load(self, data: Buffer) -> BitDigits:
        return BitDigits(bytes(data), "ascii")


def _text_only() -> adapt.AdaptersMap:
    """Adapters that know nothing but text."""
    adapters = adapt.AdaptersMap(types=TypesRegistry())
    adapters.register_loader(0, TextLoader)
    for oid in _BITS:
        adapters.register_loader(oid, _BitLoader)
    adapters.register_dumper(str, StrDumperUnknown)
    adapters.register_dumper(type(None), NoneDumper)
    return adapters


class _TextOnly:
    """A context for connections that give and take every value as text."""

    adapters = _text_only()
    connection = None


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
    #: More of the client library's own.
    parameters: ClassVar[Mapping[str, Any]] = {}
    _connection: psycopg.Connection[tuple[str | None, ...]]

    def connect(self) -> None:
        """Connect and set the session up."""
        spec, options = self.spec, self.spec.options
        parameters: dict[str, Any] = {
            "host": spec.host,
            "port": spec.port,
            "dbname": spec.database or None,
            "user": spec.username,
            "password": spec.password,
            "connect_timeout": max(2, round(options.connect_timeout_s)),
            "sslmode": options.ssl_mode,
            "sslrootcert": options.ssl_ca,
            "client_encoding": "utf8",
            "application_name": "taskrunner",
            **keepalives(),
            **nothing_of_its_own(),
            **self.parameters,
        }
        if options.socket_timeout_s:
            parameters["tcp_user_timeout"] = round(options.socket_timeout_s * 1000)
        with self._problems("connect"):
            with without_environment():
                self._connection = psycopg.connect(
                    **{key: value for key, value in parameters.items() if value is not None},
                    context=_TextOnly,
                    prepare_threshold=None,
                    autocommit=True,
                )
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
        size = _BATCH if pq.version() >= _CHUNKS_SINCE else 1
        rows = cast(_Rows, cursor.stream(statement, size=size))
        with closing(cursor), closing(rows):
            # The columns are known when the first rows have come.
            with self._problems("run the query"):
                first = list(islice(rows, _BATCH))
            described = cursor.description
            columns = tuple(c.name for c in described) if described else self._columns(statement)
            types = tuple(map(type_of, described or ()))
            yield Result(columns=columns, batches=self._batches(first, rows), types=types)

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
        names = ", ".join(self.quote(name) for name in target.columns)
        statement = f"COPY {table} ({names}) FROM STDIN" if names else f"COPY {table} FROM STDIN"
        known = self.target_columns(table)
        checked = fitted(
            batches,
            known,
            target.columns,
            target.on_lossy_value,
            table=target.full_name,
        )

        def refuse_nul(batch: Batch, first: int) -> None:
            columns = columns_of_rows(
                known, target.columns, table=target.full_name, width=len(batch[0])
            )
            fitting = Fitting(columns, target.on_lossy_value, table=target.full_name)
            fitting.refuse("\0", batch, first=first)

        with self._problems(f"load into table {table}"), self._connection.cursor() as cursor:
            count = self._copy(cursor, statement, checked, refuse_nul)
        self.commit_load()
        return count

    def target_columns(self, table: str) -> Sequence[TargetColumn]:
        """The columns as the server's own tables have them."""
        version = self._connection.info.server_version
        made = "a.attgenerated::text" if version >= _GENERATES_SINCE else "''::text"
        query = COLUMNS.format(made) if version >= _RECURSES_SINCE else PLAIN_COLUMNS
        with self._problems(f"look at table {table}"), self._client_cursor() as cursor:
            return [column_of(row) for row in cursor.execute(query, [table]).fetchall()]

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

    def prepare_load(self) -> None:
        """Nothing to do: there is no mode in which this server would change less."""

    def insert(self, statement: Statement, rows: Iterable[Sequence[object]]) -> None:
        """Insert rows."""
        with self._problems("insert rows"), self._connection.cursor() as cursor:
            cursor.executemany(statement.with_markers("%s", percent="%%"), rows)

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

    def _copy(
        self,
        cursor: psycopg.Cursor[Any],
        statement: str,
        batches: Iterable[Batch],
        refuse_nul: Callable[[Batch, int], None],
    ) -> int:
        encoder = Encoder(_COPY_TEXT)
        count = 0
        with cursor.copy(statement.encode()) as copy:
            for batch in batches:
                data = encoder.encode(batch)
                if b"\0" in data:
                    refuse_nul(batch, count + 1)
                for start in range(0, len(data), _COPY_PIECE):
                    copy.write(data[start : start + _COPY_PIECE])
                count += len(batch)
        return count

    def _batches(self, first: Batch, rows: Iterator[tuple[str | None, ...]]) -> Iterator[Batch]:
        batch = first
        while batch:
            yield batch
            with self._problems("read the rows"):
                batch = list(islice(rows, _BATCH))

    def _columns(self, statement: sql.SQL) -> tuple[str, ...]:
        """The names of a query's columns, for an answer that has no rows to tell them."""
        connection = self._connection.pgconn
        connection.prepare(b"", statement.as_bytes(self._connection))
        result = connection.describe_prepared(b"")
        names = (result.fname(n) or b"" for n in range(result.nfields))
        return tuple(name.decode() for name in names)

    def _single(self, query: str) -> sql.SQL:
        return sql.SQL(query.strip().rstrip(";"))

    def _client_cursor(self) -> psycopg.ClientCursor[tuple[str | None, ...]]:
        return psycopg.ClientCursor(self._connection)

    def _set(self, name: str, value: str) -> None:
        literal = sql.Literal(value).as_string(_TextOnly)
        self._connection.execute(f"SET {name} TO {literal}".encode())

    @contextmanager
    def _problems(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, UnicodeError) as error:
            message = self.spec.mask(f"cannot {doing}: {self.spec}: {reason_of(error)}")
            raise TaskError(message, error_id=error_id_of(error)) from error


def reason_of(error: Exception) -> str:
    """What the server says, without the statement that it may quote."""
    diagnosis = getattr(error, "diag", None)
    if diagnosis is None or not diagnosis.message_primary:
        return " ".join(str(error).split()) or type(error).__name__
    parts = [diagnosis.message_primary, diagnosis.message_detail, diagnosis.context]
    text = "; ".join(" ".join(part.split()) for part in parts if part)
    return f"{text} (SQLSTATE {diagnosis.sqlstate})"


def error_id_of(error: Exception) -> str:
    """The errorId for what went wrong."""
    state = getattr(error, "sqlstate", None)
    if state:
        lengths = (5, 3, 2)
        found = (_ERROR_IDS.get(state[:length]) for length in lengths)
        return next((error_id for error_id in found if error_id), ErrorId.ACTIVITY_FAILED)
    for pattern, error_id in _REFUSED.items():
        if pattern.search(str(error)):
            return error_id
    lost = isinstance(error, psycopg.OperationalError)
    return ErrorId.CONNECTION_FAILED if lost else ErrorId.ACTIVITY_FAILED
