"""Statements on the keys of callers that lie in the store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.service.store.key_tables import access_keys
from taskrunner.service.store.keyring import Keyring, keyring_of
from taskrunner.service.store.records import fetch
from taskrunner.service.store.rows import AccessKeyRow

_K = access_keys.c


def insert(conn: Connection, row: AccessKeyRow) -> None:
    """Add a key; IntegrityError when its id was ever used."""
    conn.execute(access_keys.insert(), sealed(keyring_of(conn), row).columns())


def everything(conn: Connection) -> list[AccessKeyRow]:
    """Every key, the oldest first, with its secret as it lies there."""
    return fetch(conn, AccessKeyRow, sa.select(access_keys).order_by(_K.created_at, _K.key_id))


def in_force(conn: Connection) -> list[AccessKeyRow]:
    """The keys that may be used, with their secrets as they lie there."""
    return fetch(conn, AccessKeyRow, sa.select(access_keys).where(_K.revoked_at.is_(None)))


def revoke(conn: Connection, key_id: str, now: datetime) -> bool:
    """Make a key good for nothing and forget its secret; whether it was good."""
    good = access_keys.update().where(_K.key_id == key_id, _K.revoked_at.is_(None))
    return conn.execute(good.values(revoked_at=now, secret=None)).rowcount == 1


def sealed(ring: Keyring, row: AccessKeyRow) -> AccessKeyRow:
    """A key as it is stored."""
    return row if row.secret is None else replace(row, secret=ring.seal(row.secret, *_place(row)))


def opened(conn: Connection, rows: Iterable[AccessKeyRow]) -> list[AccessKeyRow]:
    """Keys as they are stored, with their secrets as they are. Raises StoreError."""
    ring = keyring_of(conn)
    return [
        row
        if row.secret is None
        else replace(row, secret=ring.open(conn, row.secret, *_place(row)))
        for row in rows
    ]


def _place(row: AccessKeyRow) -> tuple[str, ...]:
    return ("access_keys", row.key_id, "secret")
