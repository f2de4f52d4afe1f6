"""What the processes of a service tell each other through PostgreSQL, by NOTIFY and LISTEN.

A notice is part of its transaction: nobody hears of what was undone, or of what cannot be seen yet.
SQLite's file belongs to one process, which has nobody to tell.
"""

from __future__ import annotations

import math
import select
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

if TYPE_CHECKING:
    import psycopg


CHANNEL = "taskrunner_work"
_NOTIFY = sa.text(
    f"SELECT pg_notify('{CHANNEL}', notice) FROM unnest(CAST(:notices AS text[])) AS notice"  # noqa: S608
)


def notify(conn: Connection, notices: Iterable[str]) -> None:
    """Tell every listening process, this one too, once the transaction commits."""
    if conn.dialect.name == "postgresql" and (given := sorted(set(notices))):
        conn.execute(_NOTIFY, {"notices": given})


class Line:
    """A connection that listens. Raises what the driver raises, which is for `Store` to name."""

    def __init__(self, engine: Engine) -> None:
        """Take a connection out of the pool for good, and listen on it."""
        pooled = engine.raw_connection()
        self._conn = cast("psycopg.Connection[Any]", pooled.driver_connection)
        pooled.detach()
        self._here, self._there = socket.socketpair()
        try:
            self._conn.autocommit = True
            self._conn.execute(f"LISTEN {CHANNEL}")
        except BaseException:
            self.close()
            raise

    def wait(self, timeout_s: float | None) -> list[str]:
        """The notices that came, after at most this time; none when interrupted."""
        # Not select(): a service with a thousand polls has descriptors beyond its range.
        poll = select.poll()
        poll.register(self._conn.fileno(), select.POLLIN)
        poll.register(self._here, select.POLLIN)
        poll.poll(None if timeout_s is None else math.ceil(timeout_s * 1000))
        link = self._conn.pgconn
        link.consume_input()
        found = []
        while notice := link.notifies():
            found.append(notice.extra.decode("utf-8", "replace"))
        return found

    def interrupt(self) -> None:
        """Have `wait` return, now or the next time; from any thread."""
        with suppress(OSError):  # it is being closed
            self._there.send(b"x")

    def close(self) -> None:
        """Close the connection."""
        self._conn.close()
        self._here.close()
        self._there.close()
