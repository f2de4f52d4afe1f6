"""The data keys of a store: sealed by its operator's key in a table, and open in memory.

Each value is sealed by the newest one; rotating adds one, seals anew what older ones have sealed,
and retires those. Every process of the service takes note within a second.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from secrets import token_hex
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.clock import Clock
from taskrunner.errors import StoreError
from taskrunner.service.store.cipher import (
    PREFIX,
    Cipher,
    NotOpened,
    as_text,
    new_key,
    parts_of,
)
from taskrunner.service.store.key_tables import data_keys
from taskrunner.service.store.store_key import StoreKeys, StoreKeySource

#: What a connection of the store carries its keyring under.
OPTION = "taskrunner_keyring"
_ALL = sa.select(data_keys).order_by(data_keys.c.made_at, data_keys.c.key_id)

#: A data key, by id: which store's key has sealed it, the result, and whether it is retired.
_Rows = Mapping[str, tuple[str, str, bool]]


class Keyring:
    """The keys that secrets of one store are sealed by; safe for threads."""

    def __init__(self, source: StoreKeySource, clock: Clock) -> None:
        self.source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._store_keys: StoreKeys | None = None
        self._rows: _Rows = {}
        self._ciphers: dict[str, Cipher] = {}

    # -- keys -------------------------------------------------------------------------------------

    def prepare(self, conn: Connection) -> None:
        """As the store is opened: see that its keys can be had, or make the first one.

        Raises ConfigError or StoreError.
        """
        self.refresh(conn)
        if self._rows:
            self._store_keys = self.source.read()
            for key_id, (sealed_by, _, _) in self._rows.items():
                if sealed_by not in self._store_keys.keys:
                    raise self._wrong_store_key(key_id, sealed_by)
            return
        self._store_keys = self.source.read_or_make()
        self.add(conn)

    def refresh(self, conn: Connection) -> None:
        """Take note of keys that were made or retired by others."""
        found = {
            row.key_id: (row.sealed_by, row.sealed, row.retired_at is not None)
            for row in conn.execute(_ALL)
        }
        if found != self._rows:
            with self._lock:
                self._rows = found

    def add(self, conn: Connection) -> str:
        """Make a data key, by which all is sealed from now on; the others are retired.

        It is to be used by nobody before the transaction has committed.
        """
        store_keys, now = self._known_store_keys(), self._clock.now()
        conn.execute(
            data_keys.update().where(data_keys.c.retired_at.is_(None)).values(retired_at=now)
        )
        key_id = token_hex(4)
        conn.execute(
            data_keys.insert().values(
                key_id=key_id,
                sealed_by=store_keys.current,
                sealed=_sealed(store_keys, key_id, new_key()),
                made_at=now,
            )
        )
        self.refresh(conn)
        return key_id

    def take_over(self, conn: Connection) -> int:
        """Have every data key sealed by the operator's first key; how many were not.

        Nobody else changes the data keys until the transaction ends. Raises ConfigError or
        StoreError.
        """
        # What another one has made meanwhile is seen by the statement after this one.
        conn.execute(sa.select(data_keys.c.key_id).order_by(data_keys.c.key_id).with_for_update())
        self._store_keys = store_keys = self.source.read()
        self.refresh(conn)
        old = [key_id for key_id, row in self._rows.items() if row[0] != store_keys.current]
        for key_id in old:
            sealed = _sealed(store_keys, key_id, self._data_key(key_id))
            conn.execute(
                data_keys.update()
                .where(data_keys.c.key_id == key_id)
                .values(sealed_by=store_keys.current, sealed=sealed)
            )
        self.refresh(conn)
        return len(old)

    @property
    def current(self) -> str:
        """The id of the key that seals."""
        return next(key_id for key_id, (_, _, retired) in self._rows.items() if not retired)

    def retired(self) -> list[str]:
        """The ids of the others."""
        return [key_id for key_id, (_, _, retired) in self._rows.items() if retired]

    # -- secrets ----------------------------------------------------------------------------------

    def seal(self, text: str, *place: str, by: str | None = None) -> str:
        """A text as it may lie at a place in the store."""
        key_id = by or self.current
        return as_text(key_id, self._cipher(key_id).seal(text.encode(), place))

    def open(self, conn: Connection, text: str, *place: str) -> str:
        """What was sealed at a place. Raises StoreError."""
        try:
            key_id, sealed = parts_of(text)
            if key_id not in self._rows:
                self.refresh(conn)  # another process has made it a moment ago
            if key_id not in self._rows:
                raise StoreError(f"{_where(place)} was sealed by the data key {key_id}: it is gone")
            return self._cipher(key_id).open(sealed, place).decode()
        except NotOpened:
            raise StoreError(
                f"{_where(place)} cannot be opened: it was changed or moved within the database"
            ) from None

    def open_if_sealed(self, conn: Connection, text: str, *place: str) -> str:
        """The same; what an earlier version of the program has left unsealed is as it is."""
        return self.open(conn, text, *place) if text.startswith(PREFIX) else text

    def _cipher(self, key_id: str) -> Cipher:
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            cipher = self._ciphers[key_id] = Cipher(self._data_key(key_id))
        return cipher

    def _data_key(self, key_id: str) -> bytes:
        sealed_by, text, _ = self._rows[key_id]
        keys = self._known_store_keys().keys
        if sealed_by not in keys:  # perhaps the operator has changed it since
            self._store_keys = self.source.read()
            keys = self._store_keys.keys
        if sealed_by not in keys:
            raise self._wrong_store_key(key_id, sealed_by)
        try:
            return Cipher(keys[sealed_by]).open(parts_of(text)[1], _place_of(key_id))
        except NotOpened:
            raise StoreError(f"the data key {key_id} was changed within the database") from None

    def _known_store_keys(self) -> StoreKeys:
        if self._store_keys is None:
            self._store_keys = self.source.read()
        return self._store_keys

    def _wrong_store_key(self, key_id: str, sealed_by: str) -> StoreError:
        held = ", ".join(self._known_store_keys().keys)
        return StoreError(
            f"{self.source.where} is not the one that this store's data key {key_id} was sealed "
            f"by: wanted the one with the fingerprint {sealed_by}, found {held}"
        )


def keyring_of(conn: Connection) -> Keyring:
    """The keyring of the store that a connection belongs to."""
    return cast(Keyring, conn.get_execution_options()[OPTION])


def remove_retired(conn: Connection, key_id: str, before: datetime) -> bool:
    """Forget a data key that was retired before a moment; whether it was there."""
    gone = data_keys.delete().where(data_keys.c.key_id == key_id, data_keys.c.retired_at < before)
    return conn.execute(gone).rowcount == 1


def _sealed(store_keys: StoreKeys, key_id: str, key: bytes) -> str:
    by = store_keys.current
    return as_text(by, Cipher(store_keys.keys[by]).seal(key, _place_of(key_id)))


def _place_of(key_id: str) -> tuple[str, ...]:
    return ("data_keys", key_id)


def _where(place: tuple[str, ...]) -> str:
    return f"a secret in the store ({' '.join(place)})"
