"""Oracle, by python-oracledb in its thin mode, which needs nothing of Oracle's on the host.

Values are the server's texts (see `oracle_text`). No test of this project has run it against a real
server: what is told to the driver is tested, and the server's part is not.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, ClassVar

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
from taskrunner.data.databases.drivers import driver
from taskrunner.data.databases.lasting import KEEPALIVE_IDLE_S
from taskrunner.data.databases.oracle_columns import COLUMNS, column_of, converter_of
from taskrunner.data.databases.oracle_text import LARGE, Described, shown_query, texts_of
from taskrunner.data.databases.properties import Options
from taskrunner.data.databases.schemes import ORACLE
from taskrunner.data.databases.script import Statement
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

#: So that texts of moments and numbers are read as they are written here, wherever that is.
SESSION = (
    "ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS' "
    "NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9' "
    "NLS_TIMESTAMP_TZ_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9TZH:TZM' "
    "NLS_NUMERIC_CHARACTERS = '.,' TIME_ZONE = '+00:00'"
)
_ROWS, _LARGE_ROWS = 200, 8
_ERROR_IDS = {
    **dict.fromkeys((942, 4043), ErrorId.NOT_FOUND),
    **dict.fromkeys((1017, 1031, 1045, 28000, 28001), ErrorId.ACCESS_DENIED),
    **dict.fromkeys((1536, 1652, 1653, 1654, 1691, 30036), ErrorId.STORAGE_FULL),
    **dict.fromkeys(
        (1012, 3113, 3114, 3135, 12154, 12170, 12505, 12514), ErrorId.CONNECTION_FAILED
    ),
    **dict.fromkeys((12537, 12541, 12545, 12547, 12560), ErrorId.CONNECTION_FAILED),
}
_QUOTES = r"\[.*?\]'|\{.*?\}'|\(.*?\)'|<.*?>'|(?P<q>[^\s\[{(<]).*?(?P=q)'"
DIALECT = Dialect(
    quoted=rf"[nN]?[qQ]'(?:{_QUOTES})|'(?:[^']|'')*+'|\"[^\"]*+\"",
    comment=r"--[^\n]*+|/\*.*?\*/",
    family=Family.ORACLE,
)


class OracleDatabase(Database):
    """A connection whose session is in UTC, and writes numbers with a point."""

    scheme = ORACLE
    dialect: ClassVar[Dialect] = DIALECT
    #: An empty text is NULL.
    no_text = " "
    #: None that are released.
    has_savepoints = False
    _connection: Any = None
    _managed = False
    _is_dirty = False

    def __init__(self, spec: DatabaseSpec, library: Any = None) -> None:
        """`library` is oracledb, or what does as it does. Raises PermanentTaskError."""
        super().__init__(spec)
        self._library = library or driver("oracledb", title=ORACLE.title, extra="oracle")

    def connect(self) -> None:
        """Connect, with TLS where the address asks for it."""
        spec, library = self.spec, self._library
        options = spec.options
        name = "sid" if options.other.get("sid") else "service_name"
        with self._problems("connect"):
            self._connection = library.connect(
                user=spec.username,
                password=spec.password,
                host=spec.host,
                port=spec.port,
                tcp_connect_timeout=options.connect_timeout_s,
                expire_time=max(1, KEEPALIVE_IDLE_S // 60),
                program="taskrunner",
                **{name: spec.database},
                **_tls(options),
            )
            # Milliseconds; 0: as long as it takes.
            self._connection.call_timeout = round(1000 * (options.socket_timeout_s or 0))
            self._connection.outputtypehandler = self._as_text
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(SESSION)

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
            size = _LARGE_ROWS if any(c.type in LARGE for c in columns) else _ROWS
            cursor.arraysize = cursor.prefetchrows = size
            cursor.execute(self._shown(query, columns))
        try:
            names = tuple(column.name for column in columns)
            rows = in_batches(self._rows(cursor, columns), names, source=str(self.spec))
            types = tuple(column.shown for column in columns)
            yield Result(columns=names, batches=rows, types=types)
        finally:
            with suppress(Exception):
                cursor.close()

    def find_table(self, table: str, schema: str | None = None) -> str | None:
        """A table or view, by its name as it stands, else in capitals, as Oracle keeps most."""
        schema, table = self.split_name(table, schema)
        names = self._fetched(
            f"look for table {table}",
            "SELECT o.owner, o.object_name FROM all_objects o "
            "WHERE o.object_type IN ('TABLE', 'VIEW', 'MATERIALIZED VIEW') "
            "AND o.object_name IN (:1, UPPER(:2)) "
            "AND o.owner IN (NVL(:3, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')), "
            "UPPER(NVL(:4, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')))) "
            "ORDER BY CASE WHEN o.object_name = :5 THEN 0 ELSE 1 END",
            (table, table, schema, schema, table),
        )
        return self.quote(*map(str, names[0])) if names else None

    def target_columns(self, table: str) -> Sequence[TargetColumn]:
        """The columns as the server's catalog has them."""
        owner, name = (part.replace('""', '"') for part in table[1:-1].split('"."'))
        return [column_of(row) for row in self._fetched("look at it", COLUMNS, (owner, name))]

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
        """Nothing: it refuses what it does not keep, but for what is looked at before."""

    def insert(self, statement: Statement, rows: Iterable[Sequence[object]]) -> None:
        """Insert rows, all of a batch at a time."""
        given = [list(row) for row in rows]
        if not given:
            return
        self._is_dirty = True
        with closing(self._connection.cursor()) as cursor:
            try:
                with self._problems("insert rows"):
                    cursor.executemany(numbered(statement), given)
            except TaskError as error:
                # As many were taken as it says.
                row = int(cursor.rowcount) + 1 if cursor.rowcount is not None else 1
                row = min(max(row, 1), len(given))
                raise RowRefusedError(str(error), error_id=error.error_id, row=row) from error

    def execute(self, statement: Statement, values: Sequence[str] | None, *, alone: bool) -> int:
        """Run one statement, or block; what changes the catalog commits, as the server has it."""
        sql = statement.text if values is None else numbered(statement)
        with (
            self._problems(f"run the {statement.kind} in line {statement.line}"),
            closing(self._connection.cursor()) as cursor,
        ):
            cursor.execute(sql, list(values or ()))
            self._is_dirty = statement.verb not in {"COMMIT", "ROLLBACK"}
            if cursor.description:
                return -1
            count = int(cursor.rowcount)
        if self._managed is False and alone:
            self.commit()
        return count

    def begin_script(self, *, own_transactions: bool) -> bool:
        """A transaction begins by itself, with the first change."""
        self._managed = own_transactions
        return True

    def in_transaction(self) -> bool | None:
        """Whether anything was run since the last commit, as far as is known here."""
        return self._is_dirty

    def commit(self) -> None:
        """Commit."""
        with self._problems("commit"):
            self._connection.commit()
        self._is_dirty = False

    def place_of(self, error: BaseException) -> int | None:
        """The offset that the server tells."""
        told = error.args[0] if error.args else None
        offset = getattr(told, "offset", None)
        return int(offset) if offset else None

    def _as_text(self, cursor: Any, metadata: Any) -> Any:
        """Numbers come as texts, and large values whole."""
        library = self._library
        as_text = {library.DB_TYPE_NUMBER: library.DB_TYPE_VARCHAR}
        as_text |= {library.DB_TYPE_CLOB: library.DB_TYPE_LONG}
        as_text |= {library.DB_TYPE_NCLOB: library.DB_TYPE_LONG_NVARCHAR}
        as_text |= {library.DB_TYPE_BLOB: library.DB_TYPE_LONG_RAW}
        kind = as_text.get(metadata.type_code)
        return None if kind is None else cursor.var(kind, arraysize=cursor.arraysize)

    def _described(self, query: str) -> list[Described]:
        """The columns of a query's answer, before it runs."""
        with self._problems("look at the query"), closing(self._connection.cursor()) as cursor:
            cursor.parse(query)
            return [
                Described(name=str(column[0]), type=str(column[1].name))
                for column in cursor.description or ()
            ]

    def _shown(self, query: str, columns: Sequence[Described]) -> str:
        try:
            shown = shown_query(query, columns, [self.quote(column.name) for column in columns])
        except ValueError as error:
            message = f"{self.spec}: the query's {error}"
            raise PermanentTaskError(message, error_id=ErrorId.ACTIVITY_FAILED) from None
        return query if shown is None else shown

    def _rows(self, cursor: Any, columns: Sequence[Described]) -> Iterator[Row]:
        while True:
            with self._problems("read the rows"):
                rows = cursor.fetchmany()
            if not rows:
                return
            for row in rows:
                yield texts_of(columns, row)

    def _fetched(self, doing: str, sql: str, values: Sequence[object]) -> list[Sequence[Any]]:
        with self._problems(doing), closing(self._connection.cursor()) as cursor:
            cursor.execute(sql, list(values))
            return list(cursor.fetchall())

    @contextmanager
    def _problems(self, doing: str) -> Iterator[None]:
        library = self._library
        try:
            yield
        except (library.Error, OSError) as error:
            code, reason = reason_of(error)
            message = self.spec.mask(f"cannot {doing}: {self.spec}: {reason}")
            default = ErrorId.ACTIVITY_FAILED if code else ErrorId.CONNECTION_FAILED
            raise TaskError(message, error_id=_ERROR_IDS.get(code, default)) from error


def reason_of(error: BaseException) -> tuple[int, str]:
    """The number of an error of the server's (0: the driver's own), and what it says."""
    told = error.args[0] if error.args else error
    code = int(getattr(told, "code", 0) or 0)
    text = str(getattr(told, "message", told))
    return code, " ".join(text.partition("\nHelp:")[0].split())


def numbered(statement: Statement) -> str:
    """A statement with Oracle's own placeholders."""
    first, *rest = statement.parts
    return first + "".join(f":{number}{part}" for number, part in enumerate(rest, 1))


def _tls(options: Options) -> dict[str, object]:
    """What the driver is told of TLS, with which it always looks at the certificate."""
    if options.ssl_mode in {None, "disable"}:
        return {}
    context = ssl.create_default_context(cafile=options.ssl_ca)
    matches = options.other.get("match") != "false"
    context.check_hostname = matches
    return {"protocol": "tcps", "ssl_server_dn_match": matches, "ssl_context": context}
