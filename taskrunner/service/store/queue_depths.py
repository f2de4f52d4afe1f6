"""How much waits, for whoever watches the service: by small indexes, whatever the store holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.decisions import Queue
from taskrunner.model.states import AlarmStatus
from taskrunner.service.store.tables import alarms, attempts

#: As a literal: with a parameter neither database would take the small index.
_DEAD = alarms.c.status == sa.literal(AlarmStatus.FAILED.value, literal_execute=True)


def depths_by(dialect: str) -> sa.TextualSelect:
    """How much is ready of each worker group, by the index of what is.

    SQLite would go from group to group otherwise, of which every resource has one.
    """
    by = "INDEXED BY ix_attempts_ready" if dialect == "sqlite" else ""
    text = sa.text(
        "SELECT worker_group, count(*) AS tasks, min(ready_at) AS oldest_at "  # noqa: S608
        f"FROM attempts {by} WHERE queue = '{Queue.READY}' AND ready_at <= :at "
        "GROUP BY worker_group"
    )
    moment = attempts.c.ready_at.type
    return text.bindparams(sa.bindparam("at", type_=moment)).columns(
        sa.column("worker_group"), sa.column("tasks"), sa.column("oldest_at", moment)
    )


PENDING_ALARMS = sa.select(sa.func.count()).where(alarms.c.next_at.is_not(None))
DEAD_ALARMS = sa.select(sa.func.count()).where(_DEAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What waits for runners of one worker group."""

    worker_group: str
    tasks: int
    oldest_at: datetime


def depths(conn: Connection, now: datetime) -> list[Depth]:
    """Of each worker group with work that is ready, how much, and since when."""
    return [
        Depth(worker_group=group, tasks=tasks, oldest_at=oldest)
        for group, tasks, oldest in conn.execute(depths_by(conn.dialect.name), {"at": now})
    ]


def alarms_pending(conn: Connection) -> int:
    """How many alarms are still to be sent."""
    return int(conn.execute(PENDING_ALARMS).scalar_one())


def alarms_dead(conn: Connection) -> int:
    """How many alarms were given up, and are still kept."""
    return int(conn.execute(DEAD_ALARMS).scalar_one())
