"""Drivers of Oracle and SQL Server as far as ours use them, over SQLite.

Neither server is to be had here. What is told to a driver is taken as it is, and carried out by
SQLite where that is the same SQL; what is not (catalogs, settings) is answered as it is documented.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

Answer = tuple[Sequence[str], Sequence[Sequence[Any]]]


class DriverError(Exception):
    """What a driver raises."""


class FakeCursor:
    """A cursor of either driver."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._rows: list[Sequence[Any]] = []
        self.description: list[Any] | None = None
        self.rowcount = -1
        self.arraysize = self.prefetchrows = 1

    def execute(self, sql: str, values: Sequence[object] = ()) -> None:
        self._server.told.append((sql, tuple(values)))
        names, rows, count = self._server.run(sql, values)
        self.description = [(name,) for name in names] if names else None
        self._rows, self.rowcount = list(rows), count

    def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        for self.rowcount, row in enumerate(rows):
            self.execute(sql, row)
        self.rowcount = len(rows)

    def parse(self, sql: str) -> None:
        self.description = self._server.described(sql)

    def fetchmany(self, size: int | None = None) -> list[Sequence[Any]]:
        count = size or self.arraysize
        taken, self._rows = self._rows[:count], self._rows[count:]
        return taken

    def fetchall(self) -> list[Sequence[Any]]:
        return self.fetchmany(len(self._rows) or 1)

    def nextset(self) -> bool:
        return False

    def close(self) -> None:
        self._rows = []


class FakeServer:
    """A database in memory, and all that was asked of it."""

    Error = DriverError

    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.told: list[tuple[str, tuple[object, ...]]] = []
        self.connected: dict[str, Any] = {}
        #: Types of columns by their names, as the server would call them.
        self.types: dict[str, str] = {}
        #: What a statement that matches is answered with, or the error that it meets.
        self.answers: list[tuple[str, Answer | Exception]] = []
        self.closed = False

    def connect(self, **given: Any) -> FakeServer:
        self.connected = given
        return self

    def cursor(self) -> FakeCursor:
        return FakeCursor(self)

    def close(self) -> None:
        self.closed = True
        if self.database.in_transaction:
            self.database.execute("ROLLBACK")

    def sql(self, *statements: str) -> list[Any]:
        return [row for text in statements for row in self.database.execute(text)]

    @property
    def statements(self) -> list[str]:
        return [sql for sql, _ in self.told]

    def run(self, sql: str, values: Sequence[object]) -> tuple[Sequence[str], Sequence[Any], int]:
        for pattern, answer in self.answers:
            if re.search(pattern, sql):
                if isinstance(answer, Exception):
                    raise answer
                return (*answer, -1)
        for known, does in self.own().items():
            if found := re.match(known, sql, re.DOTALL):
                return (*does(found, values), -1)
        return self.passed(self.translated(sql), values)

    def passed(self, sql: str, values: Sequence[object]) -> tuple[Sequence[str], Any, int]:
        try:
            cursor = self.database.execute(sql, tuple(values))
        except sqlite3.Error as error:
            raise self.failure(str(error)) from error
        names = [column[0] for column in cursor.description or ()]
        return names, cursor.fetchall(), cursor.rowcount

    def names_of(self, query: str) -> list[str]:
        cursor = self.database.execute(f"SELECT * FROM ({self.translated(query)}) LIMIT 0")
        return [column[0] for column in cursor.description]

    def own(self) -> Mapping[str, Callable[[re.Match[str], Sequence[object]], Answer]]:
        raise NotImplementedError

    def translated(self, sql: str) -> str:
        raise NotImplementedError

    def failure(self, text: str) -> DriverError:
        raise NotImplementedError

    def described(self, sql: str) -> list[Any]:
        raise NotImplementedError


def _quoted(literal: str) -> str:
    return literal.removeprefix("N'").removesuffix("'").replace("''", "'")


class FakeSqlServer(FakeServer):
    """pymssql, and a SQL Server behind it."""

    def own(self) -> Mapping[str, Callable[[re.Match[str], Sequence[object]], Answer]]:
        return {
            r"IF @@TRANCOUNT = 0 BEGIN TRANSACTION": lambda *_: self._transaction(begin=True),
            r"IF @@TRANCOUNT > 0 COMMIT TRANSACTION": lambda *_: self._transaction(begin=False),
            r"SELECT @@TRANCOUNT": lambda *_: ([""], [(int(self.database.in_transaction),)]),
            r"SELECT CASE WHEN COALESCE\(OBJECT_ID\((N'[^,]*'), N'U'\)": lambda found, _: (
                [""],
                [(int(bool(self._columns(_quoted(found[1])))),)],
            ),
            r"\s*SELECT c.name.*OBJECT_ID\((N'.*')\)\nORDER": lambda found, _: (
                ["name"] * 7,
                self._columns(_quoted(found[1])),
            ),
            r"SELECT name, system_type_name.*_set\((N'.*'), NULL": lambda found, _: (
                ["name"] * 5,
                self._described(_quoted(found[1])),
            ),
            r"SET ": lambda *_: ([], []),
        }

    def _transaction(self, *, begin: bool) -> Answer:
        if begin != self.database.in_transaction:
            self.database.execute("BEGIN" if begin else "COMMIT")
        return [], []

    def _columns(self, table: str) -> list[tuple[str, ...]]:
        name = table.rpartition(".")[2].strip("[]")
        return [
            (row[1], *self._facts(row[1], row[2]))
            for row in self.database.execute(f"PRAGMA table_info([{name}])")
        ]

    def _facts(self, name: str, declared: str) -> tuple[str, ...]:
        """Type, bytes, digits, digits behind the point, who makes it, code page."""
        kind, _, sizes = self.types.get(name, declared.lower()).rstrip(")").partition("(")
        first, _, second = sizes.partition(",")
        size = {"max": "-1"}.get(first, str(int(first or 0) * (1 + kind.startswith("n"))))
        scale = second or (first if kind in {"time", "datetime2", "datetimeoffset"} else "0")
        made = "identity" if name.lower() == "number" else ""
        page = "1252" if kind in {"char", "varchar"} else ""
        return kind, size, first if first.isdigit() else "0", scale or "0", made, page

    def _described(self, query: str) -> list[tuple[Any, ...]]:
        if "ORDER BY" in query and query.endswith("\n) AS q"):
            return [(None, None, 1033, "The ORDER BY clause is invalid in views", None)]
        try:
            names = self.names_of(query)
        except sqlite3.Error as error:
            return [(None, None, 208, str(error), None)]
        return [(name, self.types.get(name, "varchar(50)"), None, None, None) for name in names]

    def translated(self, sql: str) -> str:
        sql = re.sub(r"CONVERT\((?:\w+)(?:\(\w+\))?, (q\.\[\w+\])(?:, \d+)?\)", r"\1", sql)
        sql = re.sub(r"\b0x([0-9a-f]*)", r"x'\1'", sql)
        return re.sub(r"\bN'", "'", sql)

    def failure(self, text: str) -> DriverError:
        number = 2627 if "UNIQUE" in text else 208
        return DriverError((number, f"{text}DB-Lib error message 20018".encode()))


class FakeOracle(FakeServer):
    """oracledb, and an Oracle behind it."""

    call_timeout = 0
    outputtypehandler: Any = None
    DB_TYPE_NUMBER, DB_TYPE_VARCHAR, DB_TYPE_CLOB = "number", "varchar", "clob"
    DB_TYPE_LONG, DB_TYPE_NCLOB, DB_TYPE_LONG_NVARCHAR = "long", "nclob", "long nvarchar"
    DB_TYPE_BLOB, DB_TYPE_LONG_RAW = "blob", "long raw"

    def own(self) -> Mapping[str, Callable[[re.Match[str], Sequence[object]], Answer]]:
        return {
            r"ALTER SESSION": lambda *_: ([], []),
            r"SELECT o.owner": lambda _, values: (["", ""], self._found(values)),
            r"\s*SELECT c.column_name": lambda _, values: ([""] * 7, self._columns(values)),
        }

    def _found(self, values: Sequence[object]) -> list[tuple[str, str]]:
        names = {str(values[0]), str(values[0]).upper()}
        rows = self.database.execute("SELECT name FROM sqlite_master").fetchall()
        return [("main", name) for (name,) in rows if name in names]

    def _columns(self, values: Sequence[object]) -> list[tuple[Any, ...]]:
        rows = self.database.execute(f'PRAGMA table_info("{values[1]}")')
        return [(row[1], *self._facts(row[1], row[2]), "NO") for row in rows]

    def _facts(self, name: str, declared: str) -> tuple[Any, ...]:
        """Type, bytes, characters, digits, digits behind the point."""
        kind = self.types.get(name, declared).upper()
        sizes = re.fullmatch(r"(NUMBER|VARCHAR2|RAW)\((\d+)(?:,(\d+))?\)", kind)
        if sizes is None:
            return kind, 0, 0, None, None
        if sizes[1] == "NUMBER":
            return "NUMBER", 22, 0, int(sizes[2]), int(sizes[3] or 0)
        return sizes[1], int(sizes[2]), 0, None, None

    def described(self, sql: str) -> list[Any]:
        try:
            names = self.names_of(sql)
        except sqlite3.Error as error:
            raise self.failure(str(error)) from error
        return [
            (name, SimpleNamespace(name=self.types.get(name, "DB_TYPE_VARCHAR"))) for name in names
        ]

    def commit(self) -> None:
        if self.database.in_transaction:
            self.database.execute("COMMIT")

    def translated(self, sql: str) -> str:
        sql = sql.lstrip()
        if re.match(r"INSERT|UPDATE|DELETE", sql) and not self.database.in_transaction:
            # As Oracle does it, unasked; CREATE commits.
            self.database.execute("BEGIN")
        if sql.startswith("CREATE"):
            self.commit()
        sql = re.sub(r"TO_CHAR\((q\.\"\w+\"), '[^']*'\)", r"\1", sql)
        return re.sub(r":(\d+)", r"?\1", sql)

    def failure(self, text: str) -> DriverError:
        code = 942 if "no such table" in text else 1
        return DriverError(SimpleNamespace(code=code, message=f"ORA-{code:05}: {text}", offset=7))
