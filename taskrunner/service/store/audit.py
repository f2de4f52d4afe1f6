"""Who did what: an entry for each change that somebody asked for, in that change's transaction.

Who it is comes with the thread that works for them, set by the edge or a command; what the service
does by itself is nobody's. Entries hold names, numbers and states, never what a definition says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.rows import Row
from taskrunner.service.store.moments import UtcDateTime
from taskrunner.service.store.records import fetch
from taskrunner.service.store.tables import METADATA

audit = sa.Table(
    "audit",
    METADATA,
    # Begins with the moment, so that entries are in their order.
    sa.Column("entry_id", sa.Text, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text, nullable=False),
    # Null: no key was needed.
    sa.Column("key_id", sa.Text),
    sa.Column("address", sa.Text),
    sa.Column("operation", sa.Text, nullable=False),
    # The pipeline, the key, or the agent, that it was about.
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("objects", sa.Text),
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text),
    sa.Index(None, "subject", "at"),
)
#: Ids of objects that are told of one entry, and letters of one text.
_MOST_OBJECTS, _MOST_LETTERS = 20, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow(Row):
    """One entry."""

    entry_id: str
    at: datetime
    account: str
    user_id: str
    operation: str
    subject: str
    key_id: str | None = None
    address: str | None = None
    objects: str | None = None
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Somebody, and what they have asked for."""

    at: datetime
    account: str
    user: str
    operation: str
    key_id: str | None = None
    address: str | None = None


_ACTOR: ContextVar[Actor | None] = ContextVar("audited", default=None)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """What this thread does meanwhile is done for somebody."""
    token = _ACTOR.set(actor)
    try:
        yield
    finally:
        _ACTOR.reset(token)


def note(
    conn: Connection,
    subject: str,
    *,
    objects: Sequence[str] = (),
    before: str | None = None,
    after: str | None = None,
) -> None:
    """Note a change, if it is made for somebody."""
    actor = _ACTOR.get()
    if actor is None:
        return
    row = AuditRow(
        entry_id=f"{actor.at:%Y%m%dT%H%M%S.%f}-{token_hex(6)}",
        at=actor.at,
        account=actor.account,
        user_id=actor.user,
        key_id=actor.key_id,
        address=actor.address,
        operation=actor.operation,
        subject=subject,
        objects=_several(objects),
        before=before and before[:_MOST_LETTERS],
        after=after and after[:_MOST_LETTERS],
    )
    conn.execute(audit.insert(), row.columns())


def find(
    conn: Connection,
    *,
    limit: int,
    subject: str | None = None,
    user: str | None = None,
    since: datetime | None = None,
    account: str | None = None,
    operations: Collection[str] | None = None,
    before: tuple[datetime, str] | None = None,
) -> list[AuditRow]:
    """Entries, the newest first; `before`: behind the one of this moment and id."""
    statement = sa.select(audit).order_by(audit.c.at.desc(), audit.c.entry_id.desc()).limit(limit)
    if subject is not None:
        statement = statement.where(audit.c.subject == subject)
    if user is not None:
        statement = statement.where(audit.c.user_id == user)
    if since is not None:
        statement = statement.where(audit.c.at >= since)
    if account is not None:
        statement = statement.where(audit.c.account == account)
    if operations is not None:
        statement = statement.where(audit.c.operation.in_(operations))
    if before is not None:
        at, entry_id = before
        same = sa.and_(audit.c.at == at, audit.c.entry_id < entry_id)
        statement = statement.where(sa.or_(audit.c.at < at, same))
    return fetch(conn, AuditRow, statement)


def _several(objects: Sequence[str]) -> str | None:
    if not objects:
        return None
    more = len(objects) - _MOST_OBJECTS
    return ", ".join(objects[:_MOST_OBJECTS]) + (f" and {more} more" if more > 0 else "")
