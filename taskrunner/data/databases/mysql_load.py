"""LOAD DATA LOCAL: rows into MySQL and MariaDB as the lines of a file, none of them an INSERT.

The server takes lines several times as fast as statements. But told LOCAL it is lenient, whatever
its mode: a value that it would refuse in an INSERT it changes, a row it would refuse it leaves out,
and says so in warnings alone. So rows go in portions, each behind a savepoint. A portion of which
the server has any word to say is undone and goes by INSERT, which tells what is wrong as ever, or
finds nothing wrong. Source: "LOAD DATA Statement" in MySQL's and in MariaDB's manual.

The server asks for a file by its name. It is given the portion, whatever name it asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.connections import MySQLResult
from pymysql.constants import COMMAND

from taskrunner.data.databases.base import Batch, Target, TargetColumn
from taskrunner.data.databases.lines_in import FileRows, LinesIn, lines_of_rows
from taskrunner.data.databases.mysql_columns import converter_of
from taskrunner.data.databases.mysql_errors import code_of
from taskrunner.data.databases.text import MOST_IN_VALUE, Lines
from taskrunner.data.fitting.columns import names_as_declared
from taskrunner.data.formats.encoding import Decoder, Escapes
from taskrunner.errors import TaskError

#: How much is sent in one statement, and kept until the server has said what it made of it.
_PORTION = 4 << 20
_PACKET = 1 << 18
#: So many portions with harmless warnings are sent twice; all else goes by INSERT then.
_MOST_IN_VAIN = 3
#: Waiting for a lock was given up, or a deadlock was ended: the transaction is not what it was.
_OF_LOCKS = {1205, 1213}
_CONNECTION_LOST = range(2000, 3000)
_SETTINGS = (
    "SHOW VARIABLES WHERE Variable_name IN ('local_infile', 'wsrep_on', "
    "'wsrep_load_data_splitting') AND Value = 'ON'"
)
#: Behind the escape character the server takes it for something else (the character 26).
_NO_SEPARATOR = "Z"
#: The only engine of which it is known that it undoes whatever a statement has done.
_ENGINE = "InnoDB"

ByRows = Callable[[Batch, int], None]


def takes_lines(cursor: Any, engine: str) -> bool:
    """Whether the server lets clients load lines, in one transaction.

    Galera may cut a statement into transactions of its own (wsrep_load_data_splitting).
    """
    if engine.lower() != _ENGINE.lower():
        return False
    cursor.execute(_SETTINGS)
    on = {str(row[0]).lower() for row in cursor.fetchall()}
    return "local_infile" in on and not {"wsrep_on", "wsrep_load_data_splitting"} <= on


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the rows of a load become lines."""

    #: The names of the columns that they are for.
    columns: Sequence[str]
    written: Escapes
    lines: Iterable[Lines]


def plan_of(batches: Iterable[Batch], known: Sequence[TargetColumn], target: Target) -> Plan | None:
    """The plan for a table with these columns; None where one of them takes no texts."""
    by_name = {column.name: column for column in known}
    taking = [column for column in known if not (column.is_generated or column.is_hidden)]
    listed = names_as_declared(target.columns, known)
    columns = [by_name.get(name) for name in listed] or taking
    if not columns or any(c is None or converter_of(c.type) is not None for c in columns):
        return None
    names = [column.name for column in columns if column is not None]
    if isinstance(batches, FileRows):
        written = batches.plain_escapes
        if written is not None and written.separator != _NO_SEPARATOR:
            lines = LinesIn(batches, known, target, written=written, without=None).lines()
            return Plan(columns=names, written=written, lines=lines)
    lines = lines_of_rows(batches, known, target, written=Escapes(), without=None)
    return Plan(columns=names, written=Escapes(), lines=lines)


class LineLoader:
    """The rows of one load; `into` is the table as it stands in SQL, `columns` its columns."""

    def __init__(
        self,
        connection: Any,
        into: str,
        columns: Sequence[str],
        *,
        written: Escapes,
        by_rows: ByRows,
        portion: int = _PORTION,
    ) -> None:
        """`by_rows` inserts a batch whose first row has this number; it raises TaskError."""
        self._connection = connection
        separator, end, escape = (
            _literal(c) for c in (written.separator, written.record_separator, written.escape)
        )
        self._statement = (
            f"LOAD DATA LOCAL INFILE 'rows' INTO TABLE {into} CHARACTER SET utf8mb4 "
            f"FIELDS TERMINATED BY {separator} ESCAPED BY {escape} LINES TERMINATED BY {end} "
            f"({', '.join(columns)})"
        )
        self._written = written
        self._by_rows = by_rows
        self._most = portion
        self._width = len(columns)
        self._in_vain = 0
        #: Whether lines are sent at all, any more.
        self._sends = True

    def load(self, lines: Iterable[Lines]) -> int:
        """Load all; returns how many rows. Raises PyMySQL's errors, and TaskError."""
        source, count = iter(lines), 0
        while True:
            portion = Portion(source, self._most)
            if self._sends:
                self._send(portion, count)
            else:
                self._insert(portion, count)
            count += portion.rows
            if portion.error is not None:
                raise portion.error
            if portion.is_last:
                return count

    def _send(self, portion: Portion, before: int) -> None:
        if not portion.begin():
            return
        self._run("SAVEPOINT taskrunner_load")
        try:
            result = _Load(self._connection, self._statement, portion)
            if result.affected_rows == portion.rows and not result.warning_count:
                return
        except pymysql.err.Error as error:
            if code_of(error) in _OF_LOCKS or code_of(error) in _CONNECTION_LOST:
                raise
            if not portion.is_begun:  # it does not take lines from here
                self._sends = False
        self._run("ROLLBACK TO SAVEPOINT taskrunner_load")
        self._insert(portion, before)
        self._in_vain += 1
        self._sends = self._sends and self._in_vain < _MOST_IN_VAIN

    def _insert(self, portion: Portion, before: int) -> None:
        """As the way by rows has it: that one says what is wrong."""
        portion.take_all()
        # Not the first row of a file: a byte order mark is one of its characters.
        decoder = Decoder(
            self._written, source="", width=self._width, most=MOST_IN_VALUE, rows_before=1
        )
        for batch in decoder.decode(some.data for some in portion.kept):
            self._by_rows(batch, before + 1)
            before += len(batch)

    def _run(self, statement: str) -> None:
        self._connection.query(statement)


class Portion:
    """Some of the lines of a load, which are kept as they are sent."""

    def __init__(self, source: Iterator[Lines], most: int) -> None:
        self._source = source
        self._room = most
        self.kept: list[Lines] = []
        #: What the source failed with. What came before is judged first, as by rows.
        self.error: TaskError | None = None
        self.is_last = False
        #: Whether any of it was sent.
        self.is_begun = False

    @property
    def rows(self) -> int:
        """How many have come so far."""
        return sum(some.rows for some in self.kept)

    def begin(self) -> bool:
        """Take the first lines; false if there are none."""
        return self._take()

    def packets(self) -> Iterator[bytes]:
        """All of it, as it comes."""
        sent = 0
        while sent < len(self.kept) or self._take():
            self.is_begun = True
            data = self.kept[sent].data
            sent += 1
            for start in range(0, len(data), _PACKET):
                yield data[start : start + _PACKET]

    def take_all(self) -> None:
        """Let all of it come."""
        while self._take():
            pass

    def _take(self) -> bool:
        if self._room <= 0 or self.is_last:
            return False
        try:
            some = next(self._source, None)
        except TaskError as error:
            self.error, some = error, None
        if some is None:
            self.is_last = True
            return False
        self.kept.append(some)
        self._room -= len(some.data)
        return True


class _Load(MySQLResult):
    """What the server says of a portion; the library's own way would send it a file."""

    def __init__(self, connection: Any, statement: str, portion: Portion) -> None:
        super().__init__(connection)
        self.connection: Any = connection
        self._portion = portion
        connection._execute_command(COMMAND.COM_QUERY, statement)
        self.read()
        connection.server_status = self.server_status

    def _read_load_local_packet(self, first_packet: Any) -> None:
        connection = self.connection
        try:
            for packet in self._portion.packets():
                connection.write_packet(packet)
            connection.write_packet(b"")
        except BaseException:
            # The server must not take what it has for all of it.
            with suppress(Exception):
                connection._force_close()
            raise
        take = getattr(self, "_read_ok_packet")  # noqa: B009  not in the stubs
        take(connection._read_packet())


def _literal(character: str) -> str:
    """A character, whatever the server takes for quotes and escapes."""
    return f"0x{character.encode().hex()}"
