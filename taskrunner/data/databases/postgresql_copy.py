"""PostgreSQL's COPY in bytes, straight from its client library.

The library's own interface takes a step of Python's for each row, which costs four times as much as
`psql` needs. Here rows are taken out of the library's buffer by a loop that runs in C, as many as
have come; the buffer is small, so that this bounds the memory as well.
"""

from __future__ import annotations

import select
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from operator import itemgetter

import psycopg
from psycopg import pq, sql
from psycopg.errors import error_from_result

from taskrunner.data.databases.text import MOST_IN_VALUE, Lines, Pace, check_line
from taskrunner.data.formats.quoting import Quoting, TextDialect

_NOTHING_YET = (0, b"")
_DONE = -1
_PATIENCE_MS = 200
#: Larger pieces would pile up in the library's memory.
_SENT = 1 << 16
_data = itemgetter(1)


class Copy:
    """A statement COPY on a connection that runs nothing else; raises psycopg's errors."""

    def __init__(self, connection: psycopg.Connection[tuple[str | None, ...]]) -> None:
        self._library = connection.pgconn
        self._socket = select.poll()
        self._socket.register(self._library.socket, select.POLLIN)

    def begin_reading(self, query: str, dialect: TextDialect) -> bool:
        """Have the server send a query's rows; false when it does not copy what this query gives.

        The server must have taken the query for a single statement before.
        """
        # A comment at the query's end must not take the bracket along.
        wrapped = f"COPY ({query.strip().rstrip(';')}\n) TO STDOUT {_options(dialect)}"
        # What the query does besides must not last.
        self._begin()
        try:
            self._run(wrapped.encode(), pq.ExecStatus.COPY_OUT)
        except (psycopg.errors.SyntaxError, psycopg.errors.FeatureNotSupported):
            return False
        return True

    def load(self, into: str, pieces: Iterable[bytes], dialect: TextDialect) -> int:
        """Send lines into a table (and columns), within a transaction; returns how many rows."""
        statement = f"COPY {into} FROM STDIN {_options(dialect)}"
        self._begin()
        self._run(statement.encode(), pq.ExecStatus.COPY_IN)
        try:
            for piece in pieces:
                for start in range(0, len(piece), _SENT):
                    self._library.put_copy_data(piece[start : start + _SENT])
                    self._flush()
        except BaseException:
            with suppress(psycopg.Error):
                self._library.put_copy_end(b"given up")
                self._flush()
                self._rest()
            raise
        self._library.put_copy_end()
        self._flush()
        return self._end()

    def lines(
        self, columns: Sequence[str], dialect: TextDialect, *, source: str
    ) -> Iterator[Lines]:
        """What the server sends, row for row a line; no lines at all where it takes its time.

        Raises PermanentTaskError for a value that is too long to be copied.
        """
        pace = Pace()
        before = 0
        done = quiet = False
        found: list[bytes] = []
        size = rows = 0
        while not done:
            taken, done = self._take()
            if taken:
                found.append(b"".join(map(_data, taken)))
                if len(found[-1]) > MOST_IN_VALUE:
                    for number, (_, line) in enumerate(taken, before + rows + 1):
                        where = f"{source}: row {number}"
                        check_line(bytes(line), columns, dialect, where=where, most=MOST_IN_VALUE)
                size += len(found[-1])
                rows += len(taken)
            if size >= pace.size or quiet or (done and rows):
                lines = Lines(found[0] if len(found) == 1 else b"".join(found), rows)
                before += rows
                found, taken, size, rows = [], [], 0, 0
                yield lines
                del lines
                pace.grow()
            quiet = not done and not self._wait()
        if (sent := self._end()) != before:
            message = f"{before} rows have come, and the server says that it sent {sent}"
            raise psycopg.OperationalError(message)

    def _take(self) -> tuple[list[tuple[int, memoryview]], bool]:
        """The rows that have come, and whether there are no more."""
        taken: list[tuple[int, memoryview]] = []
        try:
            taken.extend(iter(partial(self._library.get_copy_data, 1), _NOTHING_YET))
        except psycopg.Error:
            # It asks once more than there is to take.
            if not taken or taken[-1][0] != _DONE:
                raise
        if not taken or taken[-1][0] != _DONE:
            return taken, False
        taken.pop()
        return taken, True

    def _wait(self) -> bool:
        """Read what comes; false where nothing came for a while."""
        ready = self._socket.poll(_PATIENCE_MS)
        # Over TLS the library may hold what the socket does not show.
        self._library.consume_input()
        return bool(ready)

    def _flush(self) -> None:
        """Send what is to be sent before there is more of it: it would fill the memory."""
        while self._library.flush():
            self._socket.modify(self._library.socket, select.POLLIN | select.POLLOUT)
            ready = self._socket.poll(_PATIENCE_MS)
            self._socket.modify(self._library.socket, select.POLLIN)
            if any(event & select.POLLIN for _, event in ready):
                self._library.consume_input()

    def _begin(self) -> None:
        if self._library.transaction_status == pq.TransactionStatus.IDLE:
            self._run(b"BEGIN", pq.ExecStatus.COMMAND_OK)

    def _run(self, statement: bytes, wanted: pq.ExecStatus) -> None:
        self._library.send_query(statement)
        self._flush()
        self._check(self._result(), wanted)
        if wanted == pq.ExecStatus.COMMAND_OK:
            self._rest()

    def _end(self) -> int:
        """The server's verdict, when nothing more is to come: how many rows it has copied."""
        result = self._check(self._result(), pq.ExecStatus.COMMAND_OK)
        self._rest()
        return result.command_tuples or 0

    def _result(self) -> pq.abc.PGresult | None:
        while self._library.is_busy():
            self._wait()
        return self._library.get_result()

    def _rest(self) -> None:
        while self._result() is not None:
            pass

    def _check(self, result: pq.abc.PGresult | None, wanted: pq.ExecStatus) -> pq.abc.PGresult:
        if result is None:
            raise psycopg.OperationalError("the connection is lost")
        if result.status != wanted:
            self._rest()
            raise error_from_result(result, encoding="utf-8")
        return result


def columns_of(
    connection: psycopg.Connection[tuple[str | None, ...]], statement: sql.SQL
) -> tuple[str, ...]:
    """The names of a query's columns, asked of the server without running it."""
    library = connection.pgconn
    prepared = library.prepare(b"", statement.as_bytes(connection))
    if prepared.status != pq.ExecStatus.COMMAND_OK:
        raise error_from_result(prepared, encoding="utf-8")
    result = library.describe_prepared(b"")
    names = (result.fname(n) or b"" for n in range(result.nfields))
    return tuple(name.decode() for name in names)


def _options(dialect: TextDialect) -> str:
    delimiter = f"DELIMITER {_literal(dialect.separator)}"
    if isinstance(dialect, Quoting):
        return f"(FORMAT csv, {delimiter}, QUOTE {_literal(dialect.quote)})"
    return f"({delimiter})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
