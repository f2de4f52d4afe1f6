"""A store in a database of a PostgreSQL server, which several processes may use."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import NoSuchModuleError, ProgrammingError

from taskrunner.clock import Clock
from taskrunner.errors import ConfigError, StoreLost
from taskrunner.service.store.backend import Mark, Opening
from taskrunner.service.store.records import insert_missing_columns
from taskrunner.service.store.store_key import StoreKeySource
from taskrunner.service.store.tables import store_identity

#: A server that is gone without a word is found out in a minute; what the URL says comes first.
_CONNECTING: Mapping[str, int] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
_IDENTITY = """
SELECT (SELECT oid::text FROM pg_database WHERE datname = current_database()),
       coalesce(to_regclass('store_identity')::oid::text, ''),
       {cluster}, {position}, txid_current_snapshot()::text
"""
#: The server's own identity, and how far its log has come; not every kind of server tells.
_FULL = _IDENTITY.format(
    cluster="(SELECT system_identifier::text FROM pg_control_system())",
    position="CASE WHEN pg_is_in_recovery() THEN 0 "
    "ELSE pg_current_wal_flush_lsn() - '0/0'::pg_lsn END",
)
_SHORT = _IDENTITY.format(cluster="''", position="0")
#: A mark is believed for so long after the look that it is of, in seconds: else nobody looks.
_MARK_LIFE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Which database answers; empty or 0 where its server does not tell."""

    database: str
    table: str
    cluster: str
    #: The bytes that the server's log has had in all.
    position: int
    #: Which transactions can be seen: another text once any was committed that has written.
    snapshot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the latest look has found."""

    snapshot: str
    #: When it began, by the clock that nobody sets.
    at: float


class PostgresqlBackend:
    """The server's database, known by what changes when it is made anew."""

    def __init__(self, url: URL, clock: Clock, opening: Opening) -> None:
        """Raises ConfigError for what a server's database cannot be told."""
        if opening.restored:
            raise ConfigError(
                "--restored is for SQLite: of a server's database nothing is remembered"
            )
        self._url, self._clock, self._opening = url, clock, opening
        self.where = f"{url.host}:{url.port or 5432}"
        self._query = _FULL
        self._known: Found | None = None
        self._lock = threading.Lock()
        self._seen: _Seen | None = None
        #: How many transactions this process has committed that may have written.
        self._written = 0

    def store_key(self) -> StoreKeySource:
        """There is no place for it that all of a database's services share but the database."""
        raise ConfigError(
            "with PostgreSQL the key that secrets in the store are encrypted by must be named: "
            "make one with `openssl rand -base64 32` and give it, the same to every service of "
            "the database, by --store-key-file FILE, --store-key-command, or as the credential "
            "store_key of systemd"
        )

    def start(self) -> Engine:
        """A pool of connections."""
        try:
            engine = sa.create_engine(
                self._url,
                pool_size=16,
                max_overflow=16,
                pool_pre_ping=True,
                hide_parameters=True,  # definitions hold secrets, and errors are logged
                connect_args={k: v for k, v in _CONNECTING.items() if k not in self._url.query},
            )
        except NoSuchModuleError as error:
            raise ConfigError(f"--database-url: {error}") from None
        sa.event.listen(engine, "connect", self._on_connect)
        self._engine = engine
        return engine

    def examine(self, connection: Connection) -> None:
        """Nothing is remembered; a new store was perhaps asked for."""
        if self._opening.create and sa.inspect(connection).has_table("alembic_version"):
            raise ConfigError(
                f"--create: there is a store already at {self.where}; start without it"
            )

    def opened(self) -> None:
        """Know the database from now on."""
        with self._engine.begin() as connection:
            if connection.execute(sa.select(store_identity)).first() is None:
                insert_missing_columns(
                    connection, store_identity, [{"store_id": uuid4().hex, "changes": 0}]
                )
        try:
            self._known = self._ask()
        except ProgrammingError:
            self._query = _SHORT
            self._known = self._ask()

    def _ask(self) -> Found:
        with self._engine.connect() as plain:
            # One statement: BEGIN and ROLLBACK would be asked of the server each time.
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            return _found(connection.exec_driver_sql(self._query).one())

    def _keep(self, found: Found) -> None:
        """Know the furthest that anybody has heard of."""
        with self._lock:
            if self._known is None or found.position > self._known.position:
                self._known = found

    def _on_connect(self, connection: Any, _record: Any) -> None:
        """A database that takes another's place can only be met by a new connection."""
        known = self._known
        if known is None:
            return
        with connection.cursor() as cursor:
            cursor.execute(self._query)
            found = _found(cursor.fetchone())
        connection.rollback()
        self._compare(known, found)

    def _compare(self, known: Found | None, found: Found) -> None:
        """`known` is from before the question: others ask too, and may hear of a later state."""
        if known is not None:
            check_same(f"the service's database at {self.where}", known, found)
        self._keep(found)

    # -- in use -----------------------------------------------------------------------------------

    def check(self) -> None:
        """Each new connection is looked at when it is made."""

    @contextmanager
    def change(self, connection: Connection) -> Iterator[None]:
        """A transaction, counted once it is committed."""
        with connection.begin():
            yield
        with self._lock:
            self._written += 1

    def mark(self) -> Mark | None:
        """What could be seen when it was looked last, and what this process has committed since.

        Not a place in the server's log: that is passed before what stands there can be seen.
        """
        with self._lock:
            seen, written = self._seen, self._written
        if seen is None or self._clock.monotonic() - seen.at > _MARK_LIFE_S:
            return None
        return seen.snapshot, written

    def look(self) -> bool:
        """The tables, too, are those that were there; and see whether anything was committed."""
        known, before, at = self._known, self._seen, self._clock.monotonic()
        found = self._ask()
        self._compare(known, found)
        with self._lock:
            self._seen = _Seen(snapshot=found.snapshot, at=at)
        return before is None or before.snapshot != found.snapshot

    def scrub(self) -> None:
        """The server writes over what was removed when it vacuums."""

    def explain(self) -> str | None:
        """The server's own words are good."""
        return None

    def stop(self, engine: Engine, *, lost: bool) -> None:
        """Close the pool."""
        del lost
        engine.dispose()


def check_same(where: str, known: Found, found: Found) -> None:
    """Raises StoreLost when another database answers than the one that is known."""
    if found.cluster != known.cluster:
        raise StoreLost(f"{where} is another server's than before")
    if found.database != known.database:
        raise StoreLost(f"{where} was dropped and made anew while the service ran")
    if found.table != known.table:
        what = "were made anew" if found.table else "are gone"
        raise StoreLost(f"{where}: its tables {what} while the service ran")
    if 0 < found.position < known.position:
        raise StoreLost(f"{where} was put back to an earlier state while the service ran")


def _found(row: Any) -> Found:
    database, table, cluster, position, snapshot = row
    return Found(
        database=database,
        table=table,
        cluster=cluster,
        position=int(position),
        snapshot=snapshot,
    )
