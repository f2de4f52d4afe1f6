"""Statements on alarms: an outbox, so that none is lost and each is known by one id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.states import AlarmStatus
from taskrunner.secret import is_secret
from taskrunner.service.store.keyring import Keyring, keyring_of
from taskrunner.service.store.prepared import Prepared
from taskrunner.service.store.records import fetch, insert_missing, is_row, key_of
from taskrunner.service.store.rows import AlarmRow
from taskrunner.service.store.tables import alarms, instances


def insert_alarm(conn: Connection, row: AlarmRow) -> None:
    """Add an alarm; one with the same id is the same alarm and stays as it is."""
    if is_secret(row.topic_arn):
        row = replace(row, topic_arn=sealed_topic(keyring_of(conn), row))
    insert_missing(conn, alarms, [row])


def sealed_topic(ring: Keyring, row: AlarmRow) -> str:
    """A secret topic as it is stored: still known as one by its star."""
    return f"*{ring.seal(row.topic, *_place(row))}"


def opened(conn: Connection, row: AlarmRow) -> AlarmRow:
    """An alarm with its topic as it is to be used."""
    if not is_secret(row.topic_arn):
        return row
    topic = keyring_of(conn).open_if_sealed(conn, row.topic, *_place(row))
    return replace(row, topic_arn=f"*{topic}")


def _place(row: AlarmRow) -> tuple[str, ...]:
    return ("alarms", row.pipeline_id, row.alarm_id, "topic_arn")


def load_alarms(conn: Connection, pipeline_id: str) -> list[AlarmRow]:
    """Every alarm of a pipeline, oldest first."""
    statement = (
        sa.select(alarms)
        .where(alarms.c.pipeline_id == pipeline_id)
        .order_by(alarms.c.created_at, alarms.c.alarm_id)
    )
    return [opened(conn, row) for row in fetch(conn, AlarmRow, statement)]


def find_alarms(
    conn: Connection,
    pipeline_id: str,
    *,
    statuses: Sequence[AlarmStatus],
    limit: int,
    before: tuple[datetime, str] | None = None,
) -> list[AlarmRow]:
    """Alarms of a pipeline, the newest first; `before`: behind the one of this moment and id."""
    statement = (
        sa.select(alarms)
        .where(alarms.c.pipeline_id == pipeline_id, alarms.c.status.in_(statuses))
        .order_by(alarms.c.created_at.desc(), alarms.c.alarm_id.desc())
        .limit(limit)
    )
    if before is not None:
        at, alarm_id = before
        same = sa.and_(alarms.c.created_at == at, alarms.c.alarm_id < alarm_id)
        statement = statement.where(sa.or_(alarms.c.created_at < at, same))
    return [opened(conn, row) for row in fetch(conn, AlarmRow, statement)]


def of_run(conn: Connection, pipeline_id: str, start: datetime, limit: int) -> list[AlarmRow]:
    """Alarms that the instances of a run have raised, the newest first."""
    statement = (
        sa.select(alarms)
        .join(
            instances,
            (instances.c.pipeline_id == alarms.c.pipeline_id)
            & (instances.c.instance_id == alarms.c.instance_id),
        )
        .where(alarms.c.pipeline_id == pipeline_id, instances.c.scheduled_start == start)
        .order_by(alarms.c.created_at.desc(), alarms.c.alarm_id.desc())
        .limit(limit)
    )
    return [opened(conn, row) for row in fetch(conn, AlarmRow, statement)]


def due_alarms(conn: Connection, now: datetime, limit: int) -> list[AlarmRow]:
    """Alarms that are to be published now."""
    found = fetch(conn, AlarmRow, _DUE, {"at": now, "most": limit})
    return [opened(conn, row) for row in found]


def next_due(conn: Connection) -> datetime | None:
    """The earliest moment at which an alarm is to be published."""
    moment: datetime | None = _NEXT_DUE.scalar(conn, {})
    return moment


# Built once: asked some times a second, mostly for nothing.
_NEXT_DUE = Prepared(
    sa.select(alarms.c.next_at)
    .where(alarms.c.status == AlarmStatus.PENDING, alarms.c.next_at.is_not(None))
    .order_by(alarms.c.next_at)
    .limit(1)
)
_DUE = (
    sa.select(alarms)
    .where(alarms.c.status == AlarmStatus.PENDING, alarms.c.next_at <= sa.bindparam("at"))
    .order_by(alarms.c.next_at)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)


def list_alarms(conn: Connection, statuses: Sequence[AlarmStatus], limit: int) -> list[AlarmRow]:
    """Alarms of these statuses, the newest first; of secret topics, sealed."""
    statement = (
        sa.select(alarms)
        .where(alarms.c.status.in_(statuses))
        .order_by(alarms.c.created_at.desc(), alarms.c.pipeline_id, alarms.c.alarm_id)
        .limit(limit)
    )
    return fetch(conn, AlarmRow, statement)


def retry(
    conn: Connection, now: datetime, *, pipeline_id: str | None = None, alarm_id: str | None = None
) -> int:
    """Have alarms that were given up sent after all; how many."""
    dead = alarms.update().where(alarms.c.status == AlarmStatus.FAILED)
    if pipeline_id is not None:
        dead = dead.where(alarms.c.pipeline_id == pipeline_id)
    if alarm_id is not None:
        dead = dead.where(alarms.c.alarm_id == alarm_id)
    again = dead.values(status=AlarmStatus.PENDING, tries=0, next_at=now)
    return conn.execute(again).rowcount


def update_alarm(conn: Connection, row: AlarmRow, **values: Any) -> None:
    """Change an alarm."""
    conn.execute(_UPDATE, {**key_of(alarms, row), **values})


_UPDATE = alarms.update().where(is_row(alarms))
