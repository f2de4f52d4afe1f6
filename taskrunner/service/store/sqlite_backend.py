"""A store in a SQLite file, which one process owns."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import NoSuchModuleError

from taskrunner.clock import Clock
from taskrunner.errors import ConfigError, StoreError, StoreLost
from taskrunner.host import permissions
from taskrunner.logs import get_logger
from taskrunner.service.store.backend import Opening
from taskrunner.service.store.file_guard import WAL, FileGuard, with_suffix
from taskrunner.service.store.prepared import say
from taskrunner.service.store.sqlite_statistics import write_statistics
from taskrunner.service.store.state_file import Remembered, StateFile
from taskrunner.service.store.store_key import StoreKeySource, beside

log = get_logger()

#: How long a writer waits for another process's write on the same SQLite file, in seconds.
BUSY_TIMEOUT_S = 30
#: What a connection is marked by that writes over what it removes.
SCRUB = "taskrunner_scrub"
#: Between two tries to switch a new SQLite file to write-ahead logging, in seconds.
_SWITCH_PAUSE_S = 0.01


class SqliteBackend:
    """The file, the lock on it, and what is remembered of it."""

    def __init__(self, url: URL, clock: Clock, opening: Opening) -> None:
        """Raises ConfigError for a URL that names no file."""
        # SQLite's own neighbours of a file lie beside what a link leads to; ours too.
        self._path = Path(os.path.realpath(path_of(url)))
        self._url, self._clock, self._opening = url, clock, opening
        self.where = str(url.database)
        self._changes = 0
        #: What was complained of, which is not said again.
        self._told: set[str] = set()

    # -- opening ----------------------------------------------------------------------------------

    def store_key(self) -> StoreKeySource:
        """A file beside the database: backups of the database do not have it."""
        return beside(self._path)

    def start(self) -> Engine:
        """Own the file, and look whether it is the one that was here, before SQLite does."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the file {self.where}: {error.strerror}") from None
        try:
            self._state = StateFile.claim(self._path)
        except OSError as error:
            name = error.filename or self.where
            raise StoreError(f"cannot make the file {name}: {error.strerror}") from None
        try:
            self._find()
            self._guard = FileGuard(self._path)
        except OSError as error:
            self._give_up()
            raise StoreError(f"cannot make the file {self.where}: {error.strerror}") from None
        except BaseException:
            self._give_up()
            raise
        return self._engine()

    def _give_up(self) -> None:
        self._state.forget()
        self._state.release()

    def _find(self) -> None:
        """See to it that there is a file, and that it is not missed. Raises OSError."""
        found = self._path.stat().st_size if self._path.exists() else None
        log_file = with_suffix(self._path, WAL)
        self._log_was_there = log_file.exists()
        self._remembered = None if self._opening.create else self._state.remembered()
        if found:
            if self._opening.create:
                raise ConfigError(
                    f"--create: there is a store already at {self.where}; start without it"
                )
            return
        if self._opening.restored:
            raise ConfigError(f"--restored: there is no store at {self.where}")
        if self._log_was_there and log_file.stat().st_size:
            raise StoreLost(
                f"the service's database at {self.where} is gone, and {log_file} is left of it: "
                "bring it back beside that, or move that away"
            )
        if self._remembered is not None:
            what = "is gone" if found is None else "is empty"
            raise StoreLost(
                f"the service's database at {self.where} {what}, and there was one "
                f"({self._state.path} remembers it): bring it back, or have a new one made with "
                "--create"
            )
        # Made here, so that SQLite need not: definitions hold secrets, others must not read it.
        os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))

    def _engine(self) -> Engine:
        wait = {"timeout": BUSY_TIMEOUT_S}
        try:
            # Parameters are hidden in errors, which are logged: definitions hold secrets.
            engine = sa.create_engine(self._url, hide_parameters=True, connect_args=wait)
        except NoSuchModuleError as error:
            self._guard.close()
            self._give_up()
            raise ConfigError(f"--database-url: {error}") from None
        sa.event.listen(engine, "connect", self._on_connect)
        sa.event.listen(engine, "begin", begin_as_said)
        self._pool = engine
        return engine

    def _on_connect(self, connection: sqlite3.Connection, _record: Any) -> None:
        # The driver's own implicit BEGIN is switched off: `_on_begin` says which kind it is.
        connection.isolation_level = None
        cursor = connection.cursor()
        _switch_to_wal(cursor, self._clock)
        # FULL: with NORMAL a power cut loses commits that were acknowledged.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()
        # It was opened by its name: perhaps another file has that by now.
        self._guard.check()

    def examine(self, connection: Connection) -> None:
        """Before anything is changed in it: whether it is the store that was here."""
        wrong = self._what_is_wrong(connection)
        if self._opening.restored:
            if wrong is None:
                raise ConfigError(
                    f"--restored: the store at {self.where} is the one that was here; start "
                    "without it"
                )
            log.warning("going on with another store than was here", path=self.where, it=wrong)
        elif wrong is not None:
            raise StoreLost(
                f"the service's database at {self.where} {wrong}. Bring the right one back, or go "
                "on with this one by starting once with --restored"
            )

    def _what_is_wrong(self, connection: Connection) -> str | None:
        before = self._remembered
        row = None
        if sa.inspect(connection).has_table("store_identity"):
            row = connection.exec_driver_sql(
                "SELECT store_id, changes, open_at_schema FROM store_identity"
            ).first()
        if before is None:
            if row is None or self._log_was_there:
                return None
            schema = connection.exec_driver_sql("PRAGMA schema_version").scalar()
            # SQLite's own means of copying an open file (.backup, VACUUM INTO) change it.
            if row.open_at_schema != schema:
                return None
            return f"is a copy of one in use, without its {WAL} file: it may lack changes"
        if row is None or row.store_id != before.store_id:
            return "is not the one that was here"
        if row.changes < before.changes:
            return (
                f"lacks the last {before.changes - row.changes} changes of the one that was here: "
                f"it is an older copy, or one without its {WAL} file"
            )
        return None

    def opened(self) -> None:
        """Hold a connection open to the end, and note which store this is."""
        keeper = cast(sqlite3.Connection, self._held())
        try:
            self._identify(keeper)
        except BaseException:
            keeper.close()
            raise
        self._keeper = keeper
        execute = keeper.execute
        # Into the file itself: the mark is for copies that have nothing else.
        execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        (self._page_size,) = execute("PRAGMA page_size").fetchone()
        self._guard.remember()
        store = Remembered(store_id=self._store_id, changes=self._changes)
        try:
            self._state.own(store, self._clock)
        except OSError as error:
            raise StoreError(f"cannot write {self._state.path}: {error.strerror}") from None
        self._complain()

    def _identify(self, keeper: sqlite3.Connection) -> None:
        """Write whose file it is, and that it is open: the first that is written to it."""
        write_statistics(keeper)
        # Those that were opened to bring up the schema do not know the statistics yet.
        self._pool.dispose()
        execute = keeper.execute
        execute("BEGIN IMMEDIATE")
        row = execute("SELECT store_id, changes FROM store_identity").fetchone()
        if row is None:
            row = (uuid4().hex, 0)
            execute("INSERT INTO store_identity (store_id, changes) VALUES (?, ?)", row)
        (schema,) = execute("PRAGMA schema_version").fetchone()
        # Counted too: a copy of the moment before lacks what follows.
        self._store_id, self._changes = row[0], row[1] + 1
        self._set(keeper, open_at_schema=schema)
        execute("COMMIT")

    def _held(self) -> object:
        pooled = self._pool.raw_connection()
        held = pooled.driver_connection
        pooled.detach()
        return held

    # -- in use -----------------------------------------------------------------------------------

    def check(self) -> None:
        """The files are where they were."""
        self._guard.check()

    def mark(self) -> int | None:
        """SQLite's own count of what every other connection, of whatever process, commits."""
        version: int = self._keeper.execute("PRAGMA data_version").fetchone()[0]
        return version

    @contextmanager
    def change(self, connection: Connection) -> Iterator[None]:
        """Count each transaction that has changed anything, in the file and beside it."""
        with connection.begin():
            raw = cast(sqlite3.Connection, connection.connection.driver_connection)
            before = raw.total_changes
            yield
            changed = raw.total_changes != before
            if changed:
                self._changes += 1
                self._set(raw)
        if changed:
            self._state.count(self._changes)
            # What was committed into a file that is gone is not kept, and must not be said to be.
            self._guard.check()

    def _set(self, connection: sqlite3.Connection, **more: object) -> None:
        values = {"changes": self._changes, **more}
        names = ", ".join(f"{name} = :{name}" for name in values)
        done = connection.execute(
            f"UPDATE store_identity SET {names} WHERE store_id = :id",  # noqa: S608 - our names
            {**values, "id": self._store_id},
        )
        if done.rowcount != 1:
            raise StoreLost(
                f"the service's database at {self.where} holds another store than before"
            )

    def look(self) -> bool:
        """The files are whole, ours, and closed to others. Nobody may write meanwhile."""
        self._guard.check()
        if self._guard.has_shrunk():
            # The database first: what is moved from the log may bring it to its size again.
            self._guard.check_database(self._page_size)
            self._guard.check_log(self._pages_in_log(), self._page_size)
        self._guard.take_sizes()
        if not self._state.is_in_place():
            self._own_again()
        self._complain()
        return False  # SQLite is asked for each mark

    def _pages_in_log(self) -> int:
        """Asking moves some of them into the database, as any commit may."""
        try:
            row = self._keeper.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            raise StoreLost(self._guard.cut() or str(error)) from None
        pages: int = row[1]
        return pages

    def scrub(self) -> None:
        """Empty the log, in which earlier states of pages stand, if nobody reads just now."""
        execute = self._keeper.execute
        execute("PRAGMA busy_timeout=0")
        try:
            execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")

    def explain(self) -> str | None:
        """SQLite does not say that a file is gone, or short."""
        try:
            self._guard.check()
            return self._guard.cut()
        except StoreLost as error:
            return str(error)

    def _own_again(self) -> None:
        """The state file was removed: make it anew, before somebody else does."""
        old = self._state
        try:
            self._state = StateFile.claim(self._path)
            store = Remembered(store_id=self._store_id, changes=self._changes)
            self._state.own(store, self._clock)
        except StoreError as error:
            raise StoreLost(f"{old.path} was removed while the service ran, and {error}") from None
        except OSError as error:
            raise StoreLost(f"{old.path} is gone and cannot be made: {error.strerror}") from None
        old.release()
        log.warning("the store's state file was removed; it was made anew", path=str(old.path))

    def _complain(self) -> None:
        """Say once which files others can read, or exchange."""
        for path in [self._path.parent, *self._guard.files(), self._state.path]:
            with suppress(OSError):
                remedy = permissions.remedy(path)
                if remedy is not None and remedy not in self._told:
                    self._told.add(remedy)
                    log.warning(
                        "others on this host can get at the store, which holds secrets",
                        path=str(path),
                        remedy=remedy,
                    )

    # -- closing ----------------------------------------------------------------------------------

    def stop(self, engine: Engine, *, lost: bool) -> None:
        """Close the file in order; of one that is lost, leave everything as it is."""
        keeper: sqlite3.Connection | None = getattr(self, "_keeper", None)
        in_order = not lost or (keeper is not None and self._lacks_only_its_log())
        if keeper is not None and in_order:
            with suppress(sqlite3.Error, StoreError):
                self._set(keeper, open_at_schema=None)
        engine.dispose()
        if keeper is not None and in_order:
            with suppress(sqlite3.Error):
                keeper.close()
        elif keeper is not None:
            # SQLite's last connection would move the log into the file and remove it: after a
            # flush that has failed, or into a file that is damaged, changes would be lost for
            # good. So one is never closed: the process's end takes it.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(keeper))
        self._guard.close()
        if keeper is None:
            self._state.forget()
        self._state.release()

    def _lacks_only_its_log(self) -> bool:
        """Whether closing it in order brings all of it into the file, from the log held open."""
        try:
            return self._guard.is_only_without_log(self._page_size)
        except StoreLost:
            return False


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


def path_of(url: URL) -> str:
    """The file that a URL names. Raises ConfigError."""
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise ConfigError(
            "--database-url: SQLite needs the plain path of a file, as in sqlite:////path/to/file"
        )
    return url.database


def begin_as_said(connection: Connection) -> None:
    """Begin a transaction, one that may write if its connection says so."""
    options = connection.get_execution_options()
    writing = options.get("taskrunner_write", False)
    if options.get(SCRUB):
        # What is freed is written over, not only left: it held secrets.
        say(connection, "PRAGMA secure_delete=ON")
    say(connection, "BEGIN IMMEDIATE" if writing else "BEGIN")
