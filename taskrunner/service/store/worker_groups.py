"""Statements on worker groups as queues: what waits in each, what runs, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.decisions import Queue
from taskrunner.service.store.tables import attempts, pipelines


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupQueue:
    """One worker group with work."""

    name: str
    ready: int
    running: int
    oldest_ready: datetime | None


def load_queues(conn: Connection, account: str, now: datetime) -> dict[str, GroupQueue]:
    """The groups of an account for which something waits or runs, by their names."""
    ready = sa.and_(attempts.c.queue == Queue.READY, attempts.c.ready_at <= now)
    statement = (
        sa.select(
            attempts.c.worker_group,
            sa.func.sum(sa.case((ready, 1), else_=0)),
            sa.func.sum(sa.case((attempts.c.queue == Queue.OUT, 1), else_=0)),
            sa.func.min(sa.case((ready, attempts.c.ready_at), else_=None)),
        )
        .join(pipelines, pipelines.c.pipeline_id == attempts.c.pipeline_id)
        .where(
            pipelines.c.account == account,
            attempts.c.queue.in_([Queue.READY, Queue.OUT]),
        )
        .group_by(attempts.c.worker_group)
    )
    return {
        name: GroupQueue(name=name, ready=waiting, running=running, oldest_ready=oldest)
        for name, waiting, running, oldest in conn.execute(statement)
    }
