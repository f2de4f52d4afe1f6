"""A SQLite store that another process may own: for a command beside the running service.

SQLite itself keeps writers apart. A guest takes no lock, makes nothing and counts nothing: the
owner goes on as if the change were its own.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine

from taskrunner.errors import StoreError
from taskrunner.service.store.sqlite_backend import BUSY_TIMEOUT_S, begin_as_said, path_of
from taskrunner.service.store.store_key import StoreKeySource, beside


class SqliteGuest:
    """The file, as it is found."""

    def __init__(self, url: URL) -> None:
        """Raises ConfigError for a URL that names no file."""
        self._url, self._path = url, Path(os.path.realpath(path_of(url)))
        self.where = str(url.database)

    def store_key(self) -> StoreKeySource:
        """The file beside the database."""
        return beside(self._path)

    def start(self) -> Engine:
        """Raises StoreError when there is no such file."""
        if not self._path.exists():
            raise StoreError(f"there is no store at {self.where}: start the service once")
        engine = sa.create_engine(
            self._url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_S}
        )
        sa.event.listen(engine, "connect", _on_connect)
        sa.event.listen(engine, "begin", begin_as_said)
        return engine

    def examine(self, connection: Connection) -> None:
        """It is its owner's to do."""

    def opened(self) -> None:
        """It is its owner's to do."""

    def check(self) -> None:
        """It is its owner's to do."""

    @contextmanager
    def change(self, connection: Connection) -> Iterator[None]:
        """A transaction that may write."""
        with connection.begin():
            yield

    def mark(self) -> int | None:
        """Nobody waits here for what others commit."""
        return None

    def look(self) -> bool:
        """It is its owner's to do."""
        return False

    def scrub(self) -> None:
        """It is its owner's to do."""

    def explain(self) -> str | None:
        """Nothing is known beyond what the driver says."""
        return None

    def stop(self, engine: Engine, *, lost: bool) -> None:
        """Close every connection."""
        engine.dispose()


def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
