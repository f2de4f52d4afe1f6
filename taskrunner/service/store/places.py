"""Statements on where resources run and who runs on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.decisions import Queue
from taskrunner.model.states import INSTANCE_TERMINAL
from taskrunner.service.store.records import fetch
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.store.tables import attempts, instances, pipelines

_IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_OF_PIPELINE: sa.BindParameter[Any] = sa.bindparam("of_pipeline")
_GROUP: sa.BindParameter[Any] = sa.bindparam("to_group")
_MOVE_INSTANCES = (
    instances.update()
    .where(
        instances.c.pipeline_id == _OF_PIPELINE,
        instances.c.instance_id.in_(_IDS),
        instances.c.worker_group != _GROUP,
        instances.c.status.not_in(list(INSTANCE_TERMINAL)),
    )
    .values(worker_group=_GROUP)
)
_MOVE_ATTEMPTS = (
    attempts.update()
    .where(
        attempts.c.pipeline_id == _OF_PIPELINE,
        attempts.c.instance_id.in_(_IDS),
        attempts.c.worker_group != _GROUP,
        attempts.c.queue != Queue.DONE,
    )
    .values(worker_group=_GROUP)
)
_WITH_WORK = (
    sa.select(attempts.c.worker_group)
    .where(attempts.c.worker_group.in_(_IDS), attempts.c.queue == Queue.READY)
    .distinct()
)


def move_to_group(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str], worker_group: str
) -> bool:
    """Have these instances' work wait in a worker group; whether any waited in another."""
    wanted = {"of_pipeline": pipeline_id, "ids": list(instance_ids), "to_group": worker_group}
    # In the order in which runners' reports hold them.
    moved = conn.execute(_MOVE_INSTANCES, wanted).rowcount
    return conn.execute(_MOVE_ATTEMPTS, wanted).rowcount + moved > 0


def with_work(conn: Connection, worker_groups: Sequence[str]) -> set[str]:
    """Those of these worker groups in whose queues something waits."""
    return {*conn.execute(_WITH_WORK, {"ids": list(worker_groups)}).scalars()}


def pipelines_by_id(conn: Connection, pipeline_ids: Sequence[str]) -> dict[str, PipelineRow]:
    """The pipelines of these that have not been deleted."""
    statement = sa.select(pipelines).where(
        pipelines.c.pipeline_id.in_(pipeline_ids), pipelines.c.deleted_at.is_(None)
    )
    return {row.pipeline_id: row for row in fetch(conn, PipelineRow, statement)}
