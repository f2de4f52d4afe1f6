"""Opening the store, SQLite in a file or PostgreSQL, and its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
)

from taskrunner.clock import Clock, SystemClock
from taskrunner.errors import ConfigError, StoreError, StoreLost, StoreTrouble
from taskrunner.service.meters import Meters
from taskrunner.service.store.backend import Backend, Mark, Opening
from taskrunner.service.store.kept import KeptConnections
from taskrunner.service.store.keyring import OPTION, Keyring
from taskrunner.service.store.notices import Line
from taskrunner.service.store.postgresql_backend import PostgresqlBackend
from taskrunner.service.store.schema import ForeignDatabase, bring_up
from taskrunner.service.store.sqlite_backend import BUSY_TIMEOUT_S, SqliteBackend
from taskrunner.service.store.sqlite_guest import SqliteGuest
from taskrunner.service.store.troubles import Troubles, trouble_of
from taskrunner.service.store.turn import Turn

#: Connections to a SQLite file that are kept for transactions that only read: few run at once.
_KEPT = 4


class Store:
    """The service's database. `write` serialises writers; whatever commits is durable."""

    def __init__(
        self, url: str, *, clock: Clock | None = None, opening: Opening | None = None
    ) -> None:
        """Open and migrate. Raises ConfigError for an unusable URL, StoreError otherwise."""
        parsed = _parse(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        opening = opening or Opening()
        self._backend = _backend(parsed, clock or SystemClock(), opening)
        #: How it is named to people.
        self.where = self._backend.where
        #: The keys of its secrets.
        self.keyring = Keyring(
            opening.store_key or self._backend.store_key(), clock or SystemClock()
        )
        #: How long its transactions take; whoever uses it counts here, too.
        self.meters = Meters()
        self._clock = clock or SystemClock()
        self._troubles = Troubles()
        self._lost: StoreLost | None = None
        self._closed = False
        # One writer at a time per process: SQLite would make the others fail or spin.
        self._writing = Turn() if self.is_sqlite else None
        self._as_guest = opening.as_guest
        self._engine = self._backend.start()
        self._engine.update_execution_options(**{OPTION: self.keyring})
        kept = _KEPT if self.is_sqlite else 0
        self._readers = KeptConnections(self._engine, most=kept, writes=False)
        self._writers = KeptConnections(self._engine, most=min(kept, 1), writes=True)
        self._driver_error: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        try:
            self._prepare()
        except BaseException:
            self._backend.stop(self._engine, lost=False)
            raise

    def _prepare(self) -> None:
        try:
            with self._translated():
                #: Whether there was none before.
                self.is_new = bring_up(
                    self._engine, self._backend, self.keyring, as_guest=self._as_guest
                )
                self._backend.opened()
        except ProgrammingError as error:
            raise StoreError(_unusable(self.where, error)) from error
        except ForeignDatabase as error:
            raise StoreError(f"the service's database at {self.where} {error}") from None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises StoreError when the database is not usable."""
        with (
            self._timed("read"),
            self._failures(),
            self._usable(),
            self._readers.one() as connection,
            connection.begin(),
        ):
            yield connection
        self._troubles.worked(wrote=False)

    @contextmanager
    def write(self, *, scrub: bool = False) -> Iterator[Connection]:
        """A transaction that may write: committed at the end, undone when the block raises.

        With `scrub` what it removes is written over. Raises StoreError when the database is not
        usable.
        """
        with (
            self._timed("write"),
            self._failures(),
            self._turn(),
            self._usable(),
            self._scrubbing() if scrub else self._writers.one() as connection,
            self._backend.change(connection),
        ):
            yield connection
        self._troubles.worked(wrote=True)

    @contextmanager
    def _scrubbing(self) -> Iterator[Connection]:
        with self._engine.connect() as plain:
            yield plain.execution_options(taskrunner_write=True, taskrunner_scrub=True)

    def give_way(self) -> None:
        """Between the portions of a long change: let those write first that wait for it."""
        if self._writing is not None:
            self._writing.give_way(BUSY_TIMEOUT_S)

    @contextmanager
    def _timed(self, kind: str) -> Iterator[None]:
        begun = self._clock.monotonic()
        try:
            yield
        finally:
            self.meters.transacted(kind, self._clock.monotonic() - begun)

    @property
    def trouble(self) -> StoreTrouble | None:
        """What is wrong with it, as far as the latest transactions tell."""
        return StoreTrouble.LOST if self._lost is not None else self._troubles.worst()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Whoever may write now. Raises StoreError when others take too long."""
        if self._writing is None:
            yield
            return
        if not self._writing.acquire(timeout=BUSY_TIMEOUT_S):
            raise StoreError(
                f"the service's database at {self.where} cannot be used: another write takes more "
                f"than {BUSY_TIMEOUT_S} s",
                trouble=StoreTrouble.LOCKED,
            )
        try:
            yield
        finally:
            self._writing.release()

    def mark(self) -> Mark | None:
        """How far it has come: something else once anything was committed; None: it cannot be told.

        A server is not asked: of what other processes have committed the latest `look` tells.

        Raises StoreError when the database is not usable, StoreLost when it is gone.
        """
        with self._failures(), self._usable():
            return self._backend.mark()

    def look(self) -> bool:
        """See whether it is still the store that was opened; to be called about once a second.

        Returns whether others may have committed something that no `mark` has told of. Raises
        StoreError when that cannot be seen, StoreLost when it is not.
        """
        with self._failures(), self._turn(), self._usable():
            return self._backend.look()

    def scrub(self) -> None:
        """See that what was written over is not left beside the database, as far as can be."""
        with self._failures(), self._turn(), self._usable():
            self._backend.scrub()

    @contextmanager
    def listening(self) -> Iterator[Line]:
        """A connection that hears the service's other processes; for PostgreSQL only.

        Raises StoreError when the database is not usable, also when the connection is cut.
        """
        with self._translated(), closing(Line(self._engine)) as line:
            yield line

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Have what fails logged once."""
        try:
            yield
        except StoreError as error:
            self._troubles.failed(error)
            raise

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Name what fails, and let nobody use a store that is lost.

        Within a writer's turn: whoever comes next must not write after a flush that has failed.
        """
        if self._lost is not None:
            raise self._lost
        try:
            with self._translated():
                self._backend.check()
                yield
        except StoreLost as error:
            self._lost = error
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, self._driver_error) as error:  # what backends ask the driver itself
            trouble = trouble_of(error)
            if trouble is StoreTrouble.LOST:
                raise StoreLost(self._backend.explain() or _unusable(self.where, error)) from error
            if isinstance(error, IntegrityError | DataError | ProgrammingError):
                raise  # the statement is wrong, not the database
            raise StoreError(_unusable(self.where, error), trouble=trouble) from error

    def close(self) -> None:
        """Close every connection; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        self._readers.close()
        self._writers.close()
        self._backend.stop(self._engine, lost=self._lost is not None)


def _backend(url: URL, clock: Clock, opening: Opening) -> Backend:
    if url.get_backend_name() != "sqlite":
        return PostgresqlBackend(url, clock, opening)
    return SqliteGuest(url) if opening.as_guest else SqliteBackend(url, clock, opening)


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


def _unusable(where: str, error: Exception) -> str:
    # The first line of the driver's message: the rest repeats the statement.
    said = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    reason = said.splitlines()[0] if said else "no answer"
    return f"the service's database at {where} cannot be used: {reason}"
