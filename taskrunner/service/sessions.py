"""Sessions of people who look at the console: a key's holder, known by a cookie.

A browser cannot hold keys that sign. So the holder of a key asks for a ticket, by a signed call,
and a browser turns it into a session, once and within a minute. The store holds hashes alone: who
reads it can be nobody. A session may do what its key may but for the work of runners, and it ends
with its key: when that is taken out, or its secret is another one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from taskrunner.clock import Clock
from taskrunner.errors import ServiceFault
from taskrunner.service.auth import Authenticator, Permit
from taskrunner.service.auth_keys import RUNNERS_WORK
from taskrunner.service.store import sessions as session_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import SessionRow
from taskrunner.wire.faults import UnknownClient
from taskrunner.wire.operations import OPERATIONS

#: How long a ticket can be turned into a session, how long a session lasts, and how long without
#: a request.
TICKET_LIFE = timedelta(minutes=1)
SESSION_LIFE = timedelta(hours=12)
IDLE_LIFE = timedelta(hours=1)
#: When a session was used last is noted this often.
_NOTED_EVERY = timedelta(minutes=1)
#: Of one key, so many tickets and sessions at the most; the oldest make room.
MOST_OF_KEY = 50
#: So many digits of a hash tell a key's sessions from each other.
_ID = 24
_TICKET, _SESSION = "ticket", "session"
_NO_TICKET = "the ticket is not known: it is good once, and for a minute"


class SessionOver(ServiceFault):
    """There is no such session, or it has ended."""

    code = "SessionOverException"
    status = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSession:
    """A session of the visitor's own key."""

    #: The beginning of its token's hash, from which nobody finds the token.
    id: str
    began: datetime
    used: datetime
    #: When it is over, unless it is used before.
    ends: datetime
    is_this: bool


class Sessions:
    """The tickets and sessions of a service's visitors."""

    def __init__(self, store: Store, authenticator: Authenticator, clock: Clock) -> None:
        self._store = store
        self._authenticator = authenticator
        self._clock = clock

    def ticket(self, permit: Permit) -> str:
        """A new ticket for the holder of the key that a call was signed with."""
        token = secrets.token_urlsafe(32)
        self._insert(_TICKET, token, permit, TICKET_LIFE)
        return token

    def enter(self, ticket: str) -> str:
        """Turn a ticket into a session, once, and give its token. Raises SessionOver."""
        now = self._clock.now()
        with self._store.write() as conn:
            row = session_store.take(conn, _hashed(ticket), _TICKET)
        if row is None or row.expires_at <= now:
            raise SessionOver(_NO_TICKET)
        permit = self._permit_of(row, ticket)
        token = secrets.token_urlsafe(32)
        self._insert(_SESSION, token, permit, SESSION_LIFE)
        return token

    def holder(self, ticket: str) -> Permit:
        """Who becomes signed in with a ticket, which stays good. Raises SessionOver."""
        with self._store.read() as conn:
            row = session_store.find(conn, _hashed(ticket), _TICKET)
        if row is None or row.expires_at <= self._clock.now():
            raise SessionOver(_NO_TICKET)
        return self._permit_of(row, ticket)

    def permit(self, token: str, *, used: bool = True) -> Permit:
        """What the holder of a session may do now; `used`: this is a use of the session.

        Raises SessionOver.
        """
        now = self._clock.now()
        with self._store.read() as conn:
            row = session_store.find(conn, _hashed(token), _SESSION)
        if row is None or row.expires_at <= now or now - row.used_at >= IDLE_LIFE:
            raise SessionOver("the session is over: sign in again")
        if used and now - row.used_at >= _NOTED_EVERY:
            with self._store.write() as conn:
                session_store.note_use(conn, row.token_hash, now)
        permit = self._permit_of(row, token)
        return replace(permit, actions=visitors(permit.actions), proof=None)

    def of_key(self, key_id: str, token: str) -> Sequence[OwnSession]:
        """The sessions of a key that go on, newest first; `token`: of the one that asks."""
        now, own = self._clock.now(), _hashed(token)
        with self._store.read() as conn:
            rows = session_store.of_key(conn, key_id, _SESSION)
        return [
            OwnSession(
                id=row.token_hash[:_ID],
                began=row.created_at,
                used=row.used_at,
                ends=min(row.expires_at, row.used_at + IDLE_LIFE),
                is_this=row.token_hash == own,
            )
            for row in rows
            if row.expires_at > now and now - row.used_at < IDLE_LIFE
        ]

    def end(self, key_id: str, session_id: str) -> bool:
        """End a session of a key; whether there was one."""
        if len(session_id) != _ID:
            return False
        with self._store.write() as conn:
            return session_store.end(conn, key_id, _SESSION, session_id)

    def leave(self, token: str) -> None:
        """End a session."""
        with self._store.write() as conn:
            session_store.take(conn, _hashed(token), _SESSION)

    def _insert(self, kind: str, token: str, permit: Permit, life: timedelta) -> None:
        if permit.key is None:
            raise SessionOver("without keys nobody signs in")
        now = self._clock.now()
        row = SessionRow(
            token_hash=_hashed(token),
            kind=kind,
            key_id=permit.key.id,
            key_mark=_key_mark(token, permit.key.secret),
            created_at=now,
            used_at=now,
            expires_at=now + life,
        )
        with self._store.write() as conn:
            session_store.insert(conn, row, most_of_key=MOST_OF_KEY)

    def _permit_of(self, row: SessionRow, token: str) -> Permit:
        """The permit of the key that a row is of. Raises SessionOver when it is not what it was."""
        try:
            permit = self._authenticator.permit_of(row.key_id)
        except UnknownClient:
            permit = None
        key = permit.key if permit else None
        if (
            permit is None
            or key is None
            or not hmac.compare_digest(row.key_mark, _key_mark(token, key.secret))
        ):
            raise SessionOver(f"the access key {row.key_id} is not what it was: sign in again")
        return permit


def visitors(actions: frozenset[str] | None) -> frozenset[str]:
    """Of what a key may call (None: everything) all but what is for runners."""
    return (frozenset(OPERATIONS) if actions is None else actions) - RUNNERS_WORK


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _key_mark(token: str, secret: str) -> str:
    """What tells whether a key's secret is what it was; of no use without the token."""
    return hmac.new(token.encode("utf-8", "replace"), secret.encode(), hashlib.sha256).hexdigest()
