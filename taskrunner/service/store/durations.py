"""Moments in the store that stand for durations: they move when the clock is set."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.decisions import Queue
from taskrunner.model.states import AttemptStatus
from taskrunner.service.store.records import is_row
from taskrunner.service.store.tables import attempts, instances

_OPEN = sa.select(
    attempts.c.pipeline_id,
    attempts.c.attempt_id,
    attempts.c.status,
    attempts.c.ready_at,
    attempts.c.report_by,
    attempts.c.started_at,
).where(attempts.c.queue != Queue.DONE)
_MOVE = attempts.update().where(is_row(attempts))
_LOOK = instances.update().where(instances.c.due_at.is_not(None))


def shift(conn: Connection, by: timedelta, now: datetime) -> None:
    """Move what the attempts that are not at their end wait for, and have all be looked at.

    That is the acknowledgement's window, the lease, the start that attemptTimeout counts from and
    the end of retryDelay.
    """
    # In Python: SQLite keeps moments as text.
    moved = [_moved(row, by) for row in conn.execute(_OPEN)]
    if moved:
        conn.execute(_MOVE, moved)
    # Each finds out anew when it is due; one too early costs little, one too late a task's time.
    conn.execute(_LOOK, {"due_at": now})


def _moved(row: Any, by: timedelta) -> dict[str, object]:
    running = row.status == AttemptStatus.RUNNING
    return {
        "of_pipeline_id": row.pipeline_id,
        "of_attempt_id": row.attempt_id,
        "ready_at": row.ready_at + by,
        "report_by": row.report_by and row.report_by + by,
        # Of an attempt that is waiting again it is history: when its last look began.
        "started_at": row.started_at + by if running and row.started_at else row.started_at,
    }
