"""SQL Server, by pymssql, which brings FreeTDS with it.

Values are the server's texts (see `sqlserver_text`), and statements go with their values written
into them, so that nothing depends on what the driver makes of types. No test of this project has
run it against a real server: what is told to the driver is tested, and the server's part is not.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Any, ClassVar

from taskrunner.data.databases.base import (
    Batch,
    Converters,
    Database,
    Result,
    Row,
    Target,
    TargetColumn,
)
from taskrunner.data.databases.batches import in_batches
from taskrunner.data.databases.dialect import Dialect, Family
from taskrunner.data.databases.drivers import driver
from taskrunner.data.databases.schemes import SQLSERVER
from taskrunner.data.databases.script import Statement
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.databases.sqlserver_columns import (
    COLUMNS,
    column_of,
    converter_of,
    identity_of,
)
from taskrunner.data.databases.sqlserver_text import (
    Described,
    literal,
    needy,
    shown_query,
    texts_of,
)
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

#: What a session is told first: as SQL Server's own drivers have it, and what makes it refuse what
#: it would else change.
SESSION = (
    "SET ANSI_NULLS, ANSI_NULL_DFLT_ON, ANSI_PADDING, ANSI_WARNINGS ON",
    "SET ARITHABORT, CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER, XACT_ABORT ON",
    "SET CURSOR_CLOSE_ON_COMMIT, IMPLICIT_TRANSACTIONS, NUMERIC_ROUNDABORT OFF",
    "SET LANGUAGE us_english",
    "SET DATEFORMAT ymd",
    "SET TEXTSIZE 2147483647",
)
_LOG = logging.getLogger(__name__)
_BEGIN = "IF @@TRANCOUNT = 0 BEGIN TRANSACTION"
_COMMIT = "IF @@TRANCOUNT > 0 COMMIT TRANSACTION"
#: Rows that one INSERT may have, and how long it is made at most, in characters.
_MOST_ROWS, _MOST_TEXT = 1000, 1 << 20
_AT_ONCE = 100
_BY_LIBRARY = "DB-Lib error message"
_ERROR_IDS = {
    208: ErrorId.NOT_FOUND,
    229: ErrorId.ACCESS_DENIED,
    230: ErrorId.ACCESS_DENIED,
    262: ErrorId.ACCESS_DENIED,
    916: ErrorId.ACCESS_DENIED,
    1101: ErrorId.STORAGE_FULL,
    1105: ErrorId.STORAGE_FULL,
    4060: ErrorId.NOT_FOUND,
    9002: ErrorId.STORAGE_FULL,
    18452: ErrorId.ACCESS_DENIED,
    18456: ErrorId.ACCESS_DENIED,
    **dict.fromkeys((20002, 20003, 20004, 20006, 20009, 20047), ErrorId.CONNECTION_FAILED),
}
DIALECT = Dialect(
    quoted=r"'(?:[^']|'')*+'|\"(?:[^\"]|\"\")*+\"|\[(?:[^\]]|\]\])*+\]",
    comments_nest=True,
    comment=r"--[^\n]*+",
    opening=r"'|\"|\[|/\*",
    name_quotes=("[", "]"),
    family=Family.SQLSERVER,
)


class SqlServerDatabase(Database):
    """A connection on which each statement commits by itself, unless it has been told to begin."""

    scheme = SQLSERVER
    dialect: ClassVar[Dialect] = DIALECT
    #: It calls them otherwise, and many errors undo the transaction.
    has_savepoints = False
    _connection: Any = None
    _managed = False

    def __init__(self, spec: DatabaseSpec, library: Any = None) -> None:
        """`library` is pymssql, or what does as it does. Raises PermanentTaskError."""
        super().__init__(spec)
        self._library = library or driver("pymssql", title=SQLSERVER.title, extra="sqlserver")

    def connect(self) -> None:
        """Connect, with TLS unless the address says that there is to be none."""
        spec, library = self.spec, self._library
        encryption = _encryption(spec)
        if encryption == "request":
            _LOG.warning(
                "%s: the server's certificate is not verified, so that nobody knows who it is; the "
                "connection is encrypted if the server offers it",
                spec,
            )
        with self._problems("connect"):
            self._connection = library.connect(
                server=spec.host,
                port=str(spec.port),
                user=spec.username or "",
                password=spec.password or "",
                database=spec.database or "",
                login_timeout=max(1, round(spec.options.connect_timeout_s)),
                timeout=round(spec.options.socket_timeout_s or 0),
                charset="UTF-8",
                appname="taskrunner",
                autocommit=True,
                tds_version="7.4",
                encryption=encryption,
                conn_properties=list(SESSION),
            )

    def close(self) -> None:
        """Hang up; the server undoes what was not committed."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()

    @contextmanager
    def stream(self, query: str) -> Iterator[Result]:
        """Read a query's rows as the server sends them."""
        query = query.strip().rstrip(";")
        columns = self._described(query)
        with self._problems("run the query"):
            cursor = self._connection.cursor()
            cursor.execute(self._shown(query, columns))
        try:
            names = tuple(column.name for column in columns)
            rows = in_batches(self._rows(cursor, columns), names, source=str(self.spec))
            types = tuple(column.common for column in columns)
            yield Result(columns=names, batches=rows, types=types)
        finally:
            with suppress(Exception):
                cursor.close()

    def find_table(self, table: str, schema: str | None = None) -> str | None:
        """Ask the server for the table or view of that name."""
        schema, table = self.split_name(table, schema)
        name = self.quote(schema, table) if schema else self.quote(table)
        kinds = ", ".join(f"OBJECT_ID({literal(name)}, N'{kind}')" for kind in "UV")
        query = f"SELECT CASE WHEN COALESCE({kinds}) IS NULL THEN 0 ELSE 1 END"
        return name if self._fetched(f"look for table {name}", query)[0][0] == 1 else None

    def target_columns(self, table: str) -> Sequence[TargetColumn]:
        """The columns as the server's catalog has them."""
        return [column_of(row) for row in self._columns(table)]

    def converters(self, table: str, columns: Sequence[str]) -> Converters:
        """Columns of bytes take no text."""
        known = self.target_columns(table)
        by_name = {column.name.lower(): column for column in known}
        taking = [by_name.get(name.lower()) for name in columns] or [
            column for column in known if not column.is_generated
        ]
        found = {n: converter_of(c.type) for n, c in enumerate(taking) if c is not None}
        return {position: convert for position, convert in found.items() if convert is not None}

    def prepare_load(self) -> None:
        """Begin the transaction of the load."""
        self._run("begin", _BEGIN)

    def load_rows(self, target: Target, batches: Iterable[Batch]) -> int:
        """As ever, but for a column that the server would number itself: it is given numbers."""
        if target.insert_query:
            return super().load_rows(target, batches)
        table = self.table(target.table, target.schema)
        identity = identity_of(self._columns(table))
        names = target.columns or tuple(
            column.name for column in self.target_columns(table) if not column.is_generated
        )
        if identity is None or identity.lower() not in {name.lower() for name in names}:
            return super().load_rows(target, batches)
        self._run("take numbers", f"SET IDENTITY_INSERT {table} ON")
        count = super().load_rows(replace(target, columns=names), batches)
        self._run("take no numbers", f"SET IDENTITY_INSERT {table} OFF")
        return count

    def insert(self, statement: Statement, rows: Iterable[Sequence[object]]) -> None:
        """Insert rows, many to a statement where its form allows it."""
        self._run("begin", _BEGIN)
        for sql in statements_for(statement, rows):
            self._run("insert rows", sql)

    def execute(self, statement: Statement, values: Sequence[str] | None, *, alone: bool) -> int:
        """Run a statement or batch."""
        sql = statement.text
        if values is not None:
            sql = written(statement, values)
        if not (alone or self._managed):
            self._run("begin", _BEGIN)
        return self._run(f"run the {statement.kind} in line {statement.line}", sql)

    def begin_script(self, *, own_transactions: bool) -> bool:
        """Begin none, where the script has its own."""
        self._managed = own_transactions
        return True

    def in_transaction(self) -> bool | None:
        """The server tells."""
        return bool(self._fetched("look at the transaction", "SELECT @@TRANCOUNT")[0][0])

    def commit(self) -> None:
        """Commit, if a transaction is open."""
        self._run("commit", _COMMIT)

    def _columns(self, table: str) -> list[list[str | None]]:
        rows = self._fetched(f"look at table {table}", COLUMNS.format(literal(table)))
        return [[None if value is None else str(value) for value in row] for row in rows]

    def _described(self, query: str) -> list[Described]:
        """The columns of a query's answer; raises TaskError for one that is wrong."""
        sql = (
            "SELECT name, system_type_name, error_number, error_message, user_type_name "  # noqa: S608  quoted
            f"FROM sys.dm_exec_describe_first_result_set({literal(query)}, NULL, 0) "
            "WHERE COALESCE(is_hidden, 0) = 0 ORDER BY column_ordinal"
        )
        rows = self._fetched("look at the query", sql)
        for _, _, number, message, _ in rows:
            if number is not None:
                text = self.spec.mask(f"cannot run the query: {self.spec}: {message}")
                raise TaskError(f"{text} (error {number})", error_id=_id_of(int(number)))
        return [
            Described(name=str(name or ""), type=str(kind or user_kind or ""))
            for name, kind, _, _, user_kind in rows
        ]

    def _shown(self, query: str, columns: Sequence[Described]) -> str:
        """The query as it is run, its values texts where they need that."""
        where = f"{self.spec}: the query's"
        try:
            shown = shown_query(query, columns, [self.quote(column.name) for column in columns])
        except ValueError as error:
            message = f"{where} {error}"
            raise PermanentTaskError(message, error_id=ErrorId.ACTIVITY_FAILED) from None
        if shown is None:
            return query
        try:
            self._described(shown)
        except TaskError as error:
            first = needy(columns)
            message = (
                f"{where} column {first.name if first else ''!r} is a "
                f"{first.type if first else ''}, whose text the server is to make, and the query "
                "cannot stand in another one: wanted it without ORDER BY and WITH, or with a "
                f"CONVERT of such columns ({error})"
            )
            raise PermanentTaskError(message, error_id=ErrorId.ACTIVITY_FAILED) from error
        return shown

    def _rows(self, cursor: Any, columns: Sequence[Described]) -> Iterator[Row]:
        while True:
            with self._problems("read the rows"):
                rows = cursor.fetchmany(_AT_ONCE)
            if not rows:
                return
            for row in rows:
                yield texts_of(columns, row)

    def _fetched(self, doing: str, sql: str) -> list[Sequence[Any]]:
        with self._problems(doing), closing(self._connection.cursor()) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def _run(self, doing: str, sql: str) -> int:
        """Run something to its end, all of its answers dropped; returns the last row count."""
        with self._problems(doing), closing(self._connection.cursor()) as cursor:
            cursor.execute(sql)
            count = int(cursor.rowcount)
            while True:
                while cursor.description and cursor.fetchmany(_AT_ONCE):
                    pass
                if not cursor.nextset():
                    return count
                count = int(cursor.rowcount)

    @contextmanager
    def _problems(self, doing: str) -> Iterator[None]:
        library = self._library
        try:
            yield
        except (library.Error, OSError) as error:
            number, reason = reason_of(error)
            message = self.spec.mask(f"cannot {doing}: {self.spec}: {reason}")
            raise TaskError(message, error_id=_id_of(number)) from error


def reason_of(error: BaseException) -> tuple[int, str]:
    """The number of an error of the driver's (0: none), and what it says."""
    arguments = error.args[0] if error.args and isinstance(error.args[0], tuple) else error.args
    number = next((part for part in arguments if isinstance(part, int)), 0)
    texts = [
        part.decode("utf-8", "replace") if isinstance(part, bytes) else part
        for part in arguments
        if isinstance(part, bytes | str)
    ]
    text = " ".join(" ".join(texts).split()) or str(error)
    # What the library adds to the server's words says nothing more.
    text = text.partition(_BY_LIBRARY)[0].strip() or text
    return number, f"{text} (error {number})" if number else text


def _id_of(number: int) -> str:
    return _ERROR_IDS.get(number, ErrorId.ACTIVITY_FAILED if number else ErrorId.CONNECTION_FAILED)


def _encryption(spec: DatabaseSpec) -> str:
    """What FreeTDS calls a mode of TLS. Raises PermanentTaskError: it looks at no certificates."""
    mode = spec.options.ssl_mode or "prefer"
    if mode.startswith("verify"):
        message = (
            f"{spec}: encrypt=true (ssl=authenticate) asks for a look at the server's certificate, "
            "which this driver does not take: wanted trustServerCertificate=true (ssl=require)"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return {"disable": "off", "prefer": "request"}.get(mode, "require")


def written(statement: Statement, values: Sequence[object]) -> str:
    """A statement with its values in it."""
    parts = [statement.parts[0]]
    for value, part in zip(values, statement.parts[1:], strict=True):
        parts += [literal(value), part]
    return "".join(parts)


def statements_for(statement: Statement, rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """An INSERT for many rows: of one that is made for a table several rows go in one."""
    first, *between, last = statement.parts
    if last.strip() != ")" or set(between) - {", "} or not first.endswith("VALUES ("):
        yield from (written(statement, row) for row in rows)
        return
    head, rest = first.removesuffix("("), iter(rows)
    held: list[str] = []
    size = 0
    for row in rest:
        text = f"({', '.join(map(literal, row))})"
        if held and (len(held) == _MOST_ROWS or size + len(text) > _MOST_TEXT):
            yield head + ", ".join(held)
            held, size = [], 0
        held.append(text)
        size += len(text)
    if held:
        yield head + ", ".join(held)
