"""What `Store` asks of a kind of database: its engine, and whether it is still the same one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.engine import Connection, Engine

from taskrunner.service.store.store_key import StoreKeySource

#: How far a store has come: another one once anything was committed, and never one that was before.
Mark = int | tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What whoever starts the service has said about its store."""

    #: Make a new one; there must be none.
    create: bool = False
    #: Take the one that is found, though it is another or an older one than was here.
    restored: bool = False
    #: Where the key of its secrets comes from; None: it lies beside a SQLite file.
    store_key: StoreKeySource | None = None
    #: For a command beside the service that may own it: nothing is made, and nothing owned.
    as_guest: bool = False


class Backend(Protocol):
    """One database."""

    #: How it is named to people.
    where: str

    def store_key(self) -> StoreKeySource:
        """Where the key of its secrets comes from when nobody has said. Raises ConfigError."""
        ...

    def start(self) -> Engine:
        """An engine for it. Raises ConfigError or StoreError."""
        ...

    def examine(self, connection: Connection) -> None:
        """Before anything is changed: whether it is the store that was here. Raises StoreLost."""
        ...

    def opened(self) -> None:
        """The schema is there: note which store this is. Raises StoreError."""
        ...

    def check(self) -> None:
        """Before each transaction. Raises StoreLost when it is not the same store any more."""
        ...

    def change(self, connection: Connection) -> AbstractContextManager[None]:
        """A transaction that may write, committed at the end. Raises StoreLost, also after that."""
        ...

    def mark(self) -> Mark | None:
        """How far it has come, as far as `look` has heard of others; None: it cannot tell."""
        ...

    def look(self) -> bool:
        """Whatever is too costly for `check`, once a second. Raises StoreLost.

        Returns whether that has told it of commits which `mark` knew nothing of.
        """
        ...

    def scrub(self) -> None:
        """See that what was written over is not left beside the database, as far as can be."""
        ...

    def explain(self) -> str | None:
        """Why a driver may have said that the store is broken, in better words than its own."""
        ...

    def stop(self, engine: Engine, *, lost: bool) -> None:
        """Close every connection; of a store that is `lost` nothing is touched any more."""
        ...
