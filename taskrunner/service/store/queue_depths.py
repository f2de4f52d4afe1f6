"""How much waits, for whoever watches the service: by small indexes, whatever the store holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.decisions import Queue
from taskrunner.model.states import AlarmStatus
from taskrunner.service.store.tables import alarms, attempts

_A = attempts.c
#: As literals: with parameters neither database would take the small indexes.
_READY = _A.queue == sa.literal(Queue.READY.value, literal_execute=True)
_DEAD = alarms.c.status == sa.literal(AlarmStatus.FAILED.value, literal_execute=True)
_OLDEST = sa.type_coerce(sa.func.min(_A.ready_at), _A.ready_at.type)
DEPTHS = (
    sa.select(_A.worker_group, sa.func.count(), _OLDEST)
    .where(_READY, _A.ready_at <= sa.bindparam("at"))
    .group_by(_A.worker_group)
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
        for group, tasks, oldest in conn.execute(DEPTHS, {"at": now})
    ]


def alarms_pending(conn: Connection) -> int:
    """How many alarms are still to be sent."""
    return int(conn.execute(PENDING_ALARMS).scalar_one())


def alarms_dead(conn: Connection) -> int:
    """How many alarms were given up, and are still kept."""
    return int(conn.execute(DEAD_ALARMS).scalar_one())
