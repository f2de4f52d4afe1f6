"""Statements that seal anew, with the newest data key, what lies there unsealed or by an older one.

Rows are taken as they are found: nothing has to be remembered, so it can end at any time and be
gone on with later, by whichever process. Several processes that do it at once share the rows: each
passes over what another one holds.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.service.store import access_keys as access_key_store
from taskrunner.service.store import alarms as alarm_store
from taskrunner.service.store import machines as machine_store
from taskrunner.service.store.cipher import PREFIX
from taskrunner.service.store.indexes import HAS_SECRET_TOPIC
from taskrunner.service.store.key_tables import access_keys
from taskrunner.service.store.keyring import Keyring, keyring_of
from taskrunner.service.store.records import fetch, is_row, key_of
from taskrunner.service.store.rows import AccessKeyRow, AlarmRow, MachineRow
from taskrunner.service.store.sealed_bodies import opened_body, sealed_body
from taskrunner.service.store.tables import alarms, definitions, machines


def reseal(conn: Connection, limit: int) -> int:
    """Seal at most this many rows of each kind anew; how many were."""
    ring = keyring_of(conn)
    return sum(kind(conn, ring, limit) for kind in (_definitions, _alarms, _machines, _access_keys))


def anything_left(conn: Connection) -> bool:
    """Whether anything is unsealed or sealed by an older key, also if somebody is just at it."""
    ring = keyring_of(conn)
    found = (
        *(sa.select(definitions.c.version).where(old) for old in _old_definitions(ring)),
        sa.select(alarms.c.alarm_id).where(_old_alarms(ring)),
        sa.select(machines.c.machine_id).where(_old_machines(ring)),
        sa.select(access_keys.c.key_id).where(_old_access_keys(ring)),
    )
    return any(conn.execute(query.limit(1)).first() for query in found)


def is_in_use(conn: Connection, key_id: str) -> bool:
    """Whether anything that stays is still sealed by a key."""
    by_it = sa.select(definitions.c.version).where(definitions.c.data_key == key_id)
    topics = sa.select(alarms.c.alarm_id).where(
        HAS_SECRET_TOPIC,
        alarms.c.topic_arn.startswith(f"*{PREFIX}{key_id}:", autoescape=True),
    )
    keys = sa.select(machines.c.machine_id).where(
        machines.c.token.startswith(f"{PREFIX}{key_id}:", autoescape=True)
        # A machine says its own key later.
        | machines.c.secret.startswith(f"{PREFIX}{key_id}:", autoescape=True)
    )
    callers = sa.select(access_keys.c.key_id).where(
        access_keys.c.secret.startswith(f"{PREFIX}{key_id}:", autoescape=True)
    )
    return any(conn.execute(query.limit(1)).first() for query in (by_it, topics, keys, callers))


def _definitions(conn: Connection, ring: Keyring, limit: int) -> int:
    done = 0
    for old in _old_definitions(ring):
        found = sa.select(definitions).where(old).limit(limit - done)
        for row in conn.execute(found.with_for_update(skip_locked=True)).all():
            _seal_definition(conn, ring, row)
            done += 1
        if done == limit:
            break
    return done


def _old_definitions(ring: Keyring) -> list[sa.ColumnElement[bool]]:
    by = [definitions.c.data_key == key_id for key_id in ring.retired()]
    return [definitions.c.data_key.is_(None), *by]


def _seal_definition(conn: Connection, ring: Keyring, row: Any) -> None:
    body = row.body
    if row.data_key:
        body = opened_body(conn, ring, body, row.pipeline_id, row.version)
    sealed, key_id = sealed_body(ring, body, row.pipeline_id, row.version)
    conn.execute(
        definitions.update()
        .where(definitions.c.pipeline_id == row.pipeline_id, definitions.c.version == row.version)
        .values(body=dict(sealed), data_key=key_id)
    )


def _alarms(conn: Connection, ring: Keyring, limit: int) -> int:
    some = sa.select(alarms).where(_old_alarms(ring)).limit(limit)
    found = fetch(conn, AlarmRow, some.with_for_update(skip_locked=True))
    change = alarms.update().where(is_row(alarms))
    for row in (alarm_store.opened(conn, row) for row in found):
        topic = alarm_store.sealed_topic(ring, row)
        conn.execute(change, {**key_of(alarms, row), "topic_arn": topic})
    return len(found)


def _old_alarms(ring: Keyring) -> sa.ColumnElement[bool]:
    # Those that are over, too: they are still shown.
    return HAS_SECRET_TOPIC & ~alarms.c.topic_arn.startswith(
        f"*{PREFIX}{ring.current}:", autoescape=True
    )


def _machines(conn: Connection, ring: Keyring, limit: int) -> int:
    some = sa.select(machines).where(_old_machines(ring)).limit(limit)
    found = fetch(conn, MachineRow, some.with_for_update(skip_locked=True))
    change = machines.update().where(is_row(machines))
    for row in machine_store.opened(conn, found):
        sealed = machine_store.sealed(ring, row)
        values = {"token": sealed.token, "secret": sealed.secret}
        conn.execute(change, {**key_of(machines, row), **values})
    return len(found)


def _old_machines(ring: Keyring) -> sa.ColumnElement[bool]:
    now = f"{PREFIX}{ring.current}:"
    return ~machines.c.token.startswith(now, autoescape=True) | ~machines.c.secret.startswith(
        now, autoescape=True
    )


def _access_keys(conn: Connection, ring: Keyring, limit: int) -> int:
    some = sa.select(access_keys).where(_old_access_keys(ring)).limit(limit)
    found = fetch(conn, AccessKeyRow, some.with_for_update(skip_locked=True))
    change = access_keys.update().where(is_row(access_keys))
    for row in access_key_store.opened(conn, found):
        secret = access_key_store.sealed(ring, row).secret
        conn.execute(change, {**key_of(access_keys, row), "secret": secret})
    return len(found)


def _old_access_keys(ring: Keyring) -> sa.ColumnElement[bool]:
    return ~access_keys.c.secret.startswith(f"{PREFIX}{ring.current}:", autoescape=True)
