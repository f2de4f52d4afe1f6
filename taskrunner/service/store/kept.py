"""Connections that are kept between transactions, so that not each has to be had from the pool."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Connection, Engine


class KeptConnections:
    """Some connections of an engine, all with the same options; safe for threads.

    What the pool does each time that one is taken and given back costs more than a short
    transaction on SQLite. A server may have cut one meanwhile, though, and the pool would see that:
    of a server's connections none is to be kept.
    """

    def __init__(self, engine: Engine, *, most: int, writes: bool) -> None:
        self._engine, self._most, self._writes = engine, most, writes
        self._idle: deque[Connection] = deque()
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """One that nobody else has. After an error it goes back to the pool, to be made clean."""
        connection = self._taken()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if self._closed or len(self._idle) >= self._most:
            connection.close()
        else:
            self._idle.append(connection)

    def _taken(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._engine.connect().execution_options(taskrunner_write=self._writes)

    def close(self) -> None:
        """Keep none any more."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
