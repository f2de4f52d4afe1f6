"""Statements on alarms: an outbox, so that none is lost and each is known by one id."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.service.store.instances import insert_missing
from taskrunner.service.store.rows import AlarmRow
from taskrunner.service.store.tables import alarms


def insert_alarm(conn: Connection, row: AlarmRow) -> None:
    """Add an alarm; one with the same id is the same alarm and stays as it is."""
    values = {
        "pipeline_id": row.pipeline_id,
        "alarm_id": row.alarm_id,
        "instance_id": row.instance_id,
        "action_id": row.action_id,
        "event": row.event,
        "topic_arn": row.topic_arn,
        "subject": row.subject,
        "message": row.message,
        "status": row.status,
        "tries": row.tries,
        "created_at": row.created_at,
        "next_at": row.next_at,
    }
    insert_missing(conn, alarms, [values])


def load_alarms(conn: Connection, pipeline_id: str) -> list[AlarmRow]:
    """Every alarm of a pipeline, oldest first."""
    statement = (
        sa.select(alarms)
        .where(alarms.c.pipeline_id == pipeline_id)
        .order_by(alarms.c.created_at, alarms.c.alarm_id)
    )
    return [AlarmRow.from_row(row) for row in conn.execute(statement).mappings()]


def due_alarms(conn: Connection, now: datetime, limit: int) -> list[AlarmRow]:
    """Alarms that are to be published now."""
    statement = (
        sa.select(alarms)
        .where(alarms.c.status == "PENDING", alarms.c.next_at <= now)
        .order_by(alarms.c.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [AlarmRow.from_row(row) for row in conn.execute(statement).mappings()]


def update_alarm(conn: Connection, row: AlarmRow, **values: Any) -> None:
    """Change an alarm."""
    conn.execute(
        alarms.update()
        .where(alarms.c.pipeline_id == row.pipeline_id, alarms.c.alarm_id == row.alarm_id)
        .values(**values)
    )
