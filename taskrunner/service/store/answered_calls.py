"""Rows of `answered_calls`: which signed calls were made, and what they were answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.service.store.keyring import keyring_of
from taskrunner.service.store.prepared import Prepared
from taskrunner.service.store.records import is_row
from taskrunner.service.store.rows import AnsweredCall
from taskrunner.service.store.tables import answered_calls, handouts

_T = answered_calls.c
# Those of every poll.
_INSERT = Prepared(answered_calls.insert())
_ONE = Prepared(sa.select(answered_calls).where(is_row(answered_calls)))


def insert(conn: Connection, call: AnsweredCall) -> None:
    """Note a call; IntegrityError when it is there already."""
    answer = (
        None if call.answer is None else _sealed(conn, call.key_id, call.signature, call.answer)
    )
    _INSERT.change(conn, {**call.columns(), "answer": answer})


def find(conn: Connection, key_id: str, signature: str) -> AnsweredCall | None:
    """The call, if it was made."""
    wanted = {"of_key_id": key_id, "of_signature": signature}
    call = _ONE.first_row(conn, AnsweredCall, wanted)
    if call is None or call.answer is None:
        return call
    ring, place = keyring_of(conn), _place(key_id, signature)
    text = ring.open_if_sealed(conn, call.answer.decode(), *place)
    return replace(call, answer=text.encode())


def complete(conn: Connection, key_id: str, signature: str, answer: bytes) -> None:
    """Note what the call was answered."""
    sealed = _sealed(conn, key_id, signature, answer)
    conn.execute(answered_calls.update().where(*_is(key_id, signature)).values(answer=sealed))


def _sealed(conn: Connection, key_id: str, signature: str, answer: bytes) -> bytes:
    """An answer as it is stored: a task that was handed out has its secrets in it."""
    return keyring_of(conn).seal(answer.decode(), *_place(key_id, signature)).encode()


def _place(key_id: str, signature: str) -> tuple[str, ...]:
    return ("answered_calls", key_id, signature, "answer")


def remove(conn: Connection, key_id: str, signature: str) -> None:
    """Forget a call: it has changed nothing."""
    conn.execute(answered_calls.delete().where(*_is(key_id, signature)))


def any_old(conn: Connection, now: datetime) -> bool:
    """Whether there is anything for `remove_old`."""
    old = sa.select(_T.signature).where(_T.good_until < now).limit(1)
    return conn.execute(old).first() is not None


def remove_old(conn: Connection, now: datetime) -> None:
    """Forget the calls whose copies are refused for their age."""
    conn.execute(answered_calls.delete().where(_T.good_until < now))


def changed_since(conn: Connection, call: AnsweredCall) -> bool:
    """Whether a later call may have changed what this one had changed."""
    same = _T.pipeline_id == call.pipeline_id if call.pipeline_id else _T.key_id == call.key_id
    later = sa.select(_T.signature).where(same, _T.begun_at > call.begun_at, _T.task_id.is_(None))
    return conn.execute(later.limit(1)).first() is not None


def unacknowledged(conn: Connection, task_id: str) -> bool:
    """Whether a hand-out still waits for its runner."""
    query = sa.select(handouts.c.state).where(handouts.c.task_id == task_id)
    return conn.execute(query).scalar_one_or_none() == "ASSIGNED"


def _is(key_id: str, signature: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return (_T.key_id == key_id, _T.signature == signature)
