"""Rows of `sessions`: tickets and sessions of the console, by the hashes of their tokens."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.service.store.records import fetch, fetch_first
from taskrunner.service.store.rows import SessionRow
from taskrunner.service.store.tables import sessions

_S = sessions.c


def insert(conn: Connection, row: SessionRow, *, most_of_key: int) -> None:
    """Note a ticket or a session; the oldest ones of the key make room."""
    newest = (
        sa.select(_S.token_hash)
        .where(_S.key_id == row.key_id)
        .order_by(_S.created_at.desc(), _S.token_hash)
        .limit(most_of_key - 1)
    )
    conn.execute(sessions.delete().where(_S.key_id == row.key_id, _S.token_hash.not_in(newest)))
    conn.execute(sessions.insert().values(**row.columns()))


def find(conn: Connection, token_hash: str, kind: str) -> SessionRow | None:
    """The ticket or session of a hash."""
    one = sa.select(sessions).where(_S.token_hash == token_hash, _S.kind == kind)
    return fetch_first(conn, SessionRow, one)


def take(conn: Connection, token_hash: str, kind: str) -> SessionRow | None:
    """Remove the ticket or session of a hash; None where somebody was quicker."""
    row = find(conn, token_hash, kind)
    gone = conn.execute(sessions.delete().where(_S.token_hash == token_hash, _S.kind == kind))
    return row if gone.rowcount == 1 else None


def of_key(conn: Connection, key_id: str, kind: str) -> list[SessionRow]:
    """Those of a key, the newest first."""
    all_of_it = (
        sa.select(sessions)
        .where(_S.key_id == key_id, _S.kind == kind)
        .order_by(_S.created_at.desc(), _S.token_hash)
    )
    return fetch(conn, SessionRow, all_of_it)


def end(conn: Connection, key_id: str, kind: str, begins: str) -> bool:
    """Remove the one of a key whose hash begins so; whether there was one."""
    one = sessions.delete().where(
        _S.key_id == key_id,
        _S.kind == kind,
        sa.func.substr(_S.token_hash, 1, len(begins)) == begins,
    )
    return conn.execute(one).rowcount > 0


def note_use(conn: Connection, token_hash: str, now: datetime) -> None:
    """Note that a session was used."""
    conn.execute(sessions.update().where(_S.token_hash == token_hash).values(used_at=now))


def remove_old(conn: Connection, now: datetime, idle_since: datetime) -> None:
    """Forget what has expired, and sessions that nobody has used for long."""
    conn.execute(sessions.delete().where((_S.expires_at <= now) | (_S.used_at <= idle_since)))
