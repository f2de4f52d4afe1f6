"""Statements on where resources run and who runs on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.decisions import Queue
from taskrunner.model.instances import Category
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
_WAITS_IN_OWN_GROUP = (
    sa.select(instances.c.pipeline_id, instances.c.instance_id)
    .where(
        instances.c.category == Category.RESOURCE,
        instances.c.status.not_in(list(INSTANCE_TERMINAL)),
        instances.c.resource_handle.startswith(sa.bindparam("handles", type_=sa.Text)),
    )
    .where(
        sa.select(sa.literal(1))
        .select_from(attempts)
        .where(
            attempts.c.worker_group == instances.c.worker_group,
            attempts.c.queue == Queue.READY,
            attempts.c.pipeline_id == instances.c.pipeline_id,
        )
        .exists()
    )
)


def move_to_group(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str], worker_group: str
) -> bool:
    """Have these instances' work wait in a worker group; whether any waited in another."""
    wanted = {"of_pipeline": pipeline_id, "ids": list(instance_ids), "to_group": worker_group}
    # In the order in which runners' reports hold them.
    moved = conn.execute(_MOVE_INSTANCES, wanted).rowcount
    return conn.execute(_MOVE_ATTEMPTS, wanted).rowcount + moved > 0


def waited_for_in_own_group(conn: Connection, handles: str) -> set[tuple[str, str]]:
    """The resources, of those whose handles begin so, that have work in their own worker group.

    By the ids of pipeline and instance.
    """
    found = conn.execute(_WAITS_IN_OWN_GROUP, {"handles": handles})
    return {(pipeline_id, instance_id) for pipeline_id, instance_id in found}


def pipelines_by_id(conn: Connection, pipeline_ids: Iterable[str]) -> dict[str, PipelineRow]:
    """The pipelines of these that have not been deleted."""
    statement = sa.select(pipelines).where(
        pipelines.c.pipeline_id.in_(sorted(set(pipeline_ids))), pipelines.c.deleted_at.is_(None)
    )
    return {row.pipeline_id: row for row in fetch(conn, PipelineRow, statement)}
