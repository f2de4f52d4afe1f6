"""Opening the store: SQLite in a file or PostgreSQL, its transactions and its migrations."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
)

from taskrunner.clock import Clock, SystemClock
from taskrunner.errors import ConfigError, StoreError
from taskrunner.service.store.notices import Line
from taskrunner.service.store.tables import METADATA

MIGRATIONS = Path(__file__).parent / "migrations"

#: A server that is gone without a word is found out in a minute; what the URL says comes first.
_CONNECTING: Mapping[str, int] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
#: How long a writer waits for another process's write on the same SQLite file, in seconds.
BUSY_TIMEOUT_S = 30
#: Between two tries to switch a new SQLite file to write-ahead logging, in seconds.
_SWITCH_PAUSE_S = 0.01


class Store:
    """The service's database. `write` serialises writers; whatever commits is durable."""

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        """Open and migrate. Raises ConfigError for an unusable URL, StoreError otherwise."""
        self._url = _parse(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = (
            _sqlite_engine(self._url, clock or SystemClock())
            if self.is_sqlite
            else _server_engine(self._url)
        )
        # One writer at a time per process: SQLite would make the others fail or spin.
        self._writing = threading.RLock() if self.is_sqlite else None
        try:
            self._prepare()
        except BaseException:
            self._engine.dispose()
            raise

    def _prepare(self) -> None:
        try:
            _migrate(self._engine)
        except DBAPIError as error:
            raise StoreError(_unusable(self._url, error)) from error
        except _Foreign as error:
            raise StoreError(f"the service's database at {_where(self._url)} {error}") from None

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
    def listening(self) -> Iterator[Line]:
        """A connection that hears the service's other processes; for PostgreSQL only.

        Raises StoreError when the database is not usable, also when the connection is cut.
        """
        from psycopg import Error

        try:
            with self._failures(), closing(Line(self._engine)) as line:
                yield line
        except Error as error:
            raise StoreError(_unusable(self._url, error)) from error

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, DataError, ProgrammingError):
            raise  # the statement is wrong, not the database
        except DBAPIError as error:
            raise StoreError(_unusable(self._url, error)) from error

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(_bad_url("this")) from None  # a password may stand anywhere in it
    if parsed.drivername in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigError(_bad_url(parsed.render_as_string(hide_password=True)))
    return parsed


def _bad_url(shown: str) -> str:
    return (
        f"--database-url: {shown} is not usable: wanted sqlite:////path/to/file or "
        "postgresql://user:password@host/database"
    )


def _server_engine(url: URL) -> Engine:
    try:
        return sa.create_engine(
            url,
            pool_size=16,
            max_overflow=16,
            pool_pre_ping=True,
            hide_parameters=True,  # definitions hold secrets, and errors are logged
            connect_args={k: v for k, v in _CONNECTING.items() if k not in url.query},
        )
    except NoSuchModuleError as error:
        raise ConfigError(f"--database-url: {error}") from None


def _sqlite_engine(url: URL, clock: Clock) -> Engine:
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise ConfigError(
            "--database-url: SQLite needs the plain path of a file, as in sqlite:////path/to/file"
        )
    try:
        _make_private(Path(url.database))
        wait = {"timeout": BUSY_TIMEOUT_S}
        # Parameters are hidden in errors, which are logged: definitions hold secrets.
        engine = sa.create_engine(url, hide_parameters=True, connect_args=wait)
    except NoSuchModuleError as error:
        raise ConfigError(f"--database-url: {error}") from None
    except OSError as error:
        raise StoreError(f"cannot make the file {url.database}: {error.strerror}") from None

    def on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        _set_up(connection, clock)

    sa.event.listen(engine, "connect", on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    return engine


def _make_private(file: Path) -> None:
    """Make the file, so that SQLite need not: definitions hold secrets, others must not read it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))


def _set_up(connection: sqlite3.Connection, clock: Clock) -> None:
    # The driver's own implicit BEGIN is switched off: `_on_begin` says which kind it is.
    connection.isolation_level = None
    cursor = connection.cursor()
    _switch_to_wal(cursor, clock)
    # FULL: with NORMAL a power cut loses commits that were acknowledged.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor, clock: Clock) -> None:
    """Have readers and writer side by side, for this file and for ever.

    A new file is switched by the first service that opens it. SQLite waits for whatever else other
    processes hold, but fails at once where one of them writes at this very moment.
    """
    deadline = clock.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or clock.monotonic() >= deadline:
                raise
        else:
            return
        clock.wait(threading.Event(), _SWITCH_PAUSE_S)


def _on_begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("taskrunner_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _migrate(engine: Engine) -> None:
    """Bring the schema to the newest migration; safe when several processes start at once."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as plain:
        connection = plain.execution_options(taskrunner_write=True)
        with connection.begin():
            if engine.dialect.name == "postgresql":
                # Two services that start together must not both create the tables.
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(7236871)"))
            _check_ours(connection)
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise _Foreign(f"was made by another version of this program: {error}") from error


class _Foreign(Exception):
    """The database is in order, but not one for this program."""


def _check_ours(connection: Connection) -> None:
    """Refuse to put tables among somebody else's."""
    tables = set(sa.inspect(connection).get_table_names())
    if "alembic_version" in tables:
        return
    unknown = tables & set(METADATA.tables) if connection.dialect.name != "sqlite" else tables
    if unknown:
        some = ", ".join(sorted(unknown)[:3])
        raise _Foreign(f"belongs to another program: it holds tables such as {some}")


def _unusable(url: URL, error: Exception) -> str:
    # The first line of the driver's message: the rest repeats the statement.
    said = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    reason = said.splitlines()[0] if said else "no answer"
    return f"the service's database at {_where(url)} cannot be used: {reason}"


def _where(url: URL) -> str:
    is_file = url.get_backend_name() == "sqlite"
    return str(url.database) if is_file else f"{url.host}:{url.port or 5432}"
