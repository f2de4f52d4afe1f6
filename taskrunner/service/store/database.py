"""Opening the store: SQLite in a file or PostgreSQL, its transactions and its migrations."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from taskrunner.errors import ConfigError, StoreError

__all__ = ["Store"]

MIGRATIONS = Path(__file__).parent / "migrations"

#: How long a writer waits for another process's write on the same SQLite file, in seconds.
BUSY_TIMEOUT_S = 30


class Store:
    """The service's database. `write` serialises writers; whatever commits is durable."""

    def __init__(self, url: str) -> None:
        """Open and migrate. Raises ConfigError for an unusable URL, StoreError otherwise."""
        self._url = _parse(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _engine(self._url, is_sqlite=self.is_sqlite)
        # One writer at a time per process: SQLite would make the others fail or spin.
        self._writing = threading.RLock() if self.is_sqlite else None
        try:
            _migrate(self._engine)
        except DBAPIError as error:
            raise StoreError(_unusable(self._url, error)) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises StoreError when the database is not usable."""
        with self._failures(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write: committed at the end, undone when the block raises.

        Raises StoreError when the database is not usable.
        """
        if self._writing is None:
            with self._failures(), self._engine.begin() as connection:
                yield connection
            return
        with self._failures(), self._writing, self._engine.connect() as plain:
            connection = plain.execution_options(taskrunner_write=True)
            with connection.begin():
                yield connection

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise StoreError(_unusable(self._url, error)) from error

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(_bad_url(url)) from None
    if parsed.drivername in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigError(_bad_url(url))
    return parsed


def _bad_url(url: str) -> str:
    return (
        f"--database-url {url!r} is not usable: wanted sqlite:////path/to/file or "
        "postgresql://user:password@host/database"
    )


def _engine(url: URL, *, is_sqlite: bool) -> Engine:
    try:
        if not is_sqlite:
            return sa.create_engine(url, pool_size=16, max_overflow=16, pool_pre_ping=True)
        if not url.database or url.database == ":memory:":
            raise ConfigError("an in-memory SQLite store would lose everything: name a file")
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
    except NoSuchModuleError as error:
        raise ConfigError(f"--database-url: {error}") from None
    except OSError as error:
        raise StoreError(f"cannot make the folder of {url.database}: {error.strerror}") from None
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: Any) -> None:
    # The driver's own implicit BEGIN is switched off: `_on_begin` says which kind it is.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: with NORMAL a power cut loses commits that were acknowledged.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("taskrunner_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _migrate(engine: Engine) -> None:
    """Bring the schema to the newest migration; safe when several processes start at once."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as plain:
        connection = plain.execution_options(taskrunner_write=True)
        with connection.begin():
            if engine.dialect.name == "postgresql":
                # Two services that start together must not both create the tables.
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(7236871)"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _unusable(url: URL, error: DBAPIError) -> str:
    # The first line of the driver's message: the rest repeats the statement.
    reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no answer"
    where = url.database if url.get_backend_name() == "sqlite" else f"{url.host}:{url.port or 5432}"
    return f"the service's database at {where} cannot be used: {reason}"
