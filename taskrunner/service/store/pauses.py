"""Statements on what is paused, and on the work that a pause keeps back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.decisions import Queue
from taskrunner.model.states import InstanceStatus, PipelineState
from taskrunner.service.store.prepared import Prepared
from taskrunner.service.store.records import fetch, insert_missing
from taskrunner.service.store.rows import PauseRow
from taskrunner.service.store.tables import attempts, instances, pauses, pipelines


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What keeps instances of a pipeline from going on."""

    deactivating: bool
    #: The ids of what is paused: the pipeline's own, those of components, instances, backfills.
    paused: frozenset[str]


def insert_pauses(conn: Connection, rows: Sequence[PauseRow]) -> None:
    """Pause these objects; those that are paused already stay as they are."""
    insert_missing(conn, pauses, rows)


def remove_pauses(conn: Connection, pipeline_id: str, object_ids: Collection[str]) -> None:
    """Resume these objects."""
    ours = pauses.c.pipeline_id == pipeline_id
    conn.execute(pauses.delete().where(ours, pauses.c.object_id.in_(list(object_ids))))


def load_pauses(conn: Connection, pipeline_id: str) -> list[PauseRow]:
    """Everything of a pipeline that is paused."""
    return fetch(conn, PauseRow, _OF_PIPELINE, {"of_pipeline": pipeline_id})


def paused_ids(conn: Connection, pipeline_id: str) -> frozenset[str]:
    """The ids of what is paused of a pipeline: its own, of components, instances, backfills."""
    return frozenset(found for (found,) in _IDS.tuples(conn, {"of_pipeline": pipeline_id}))


def load_hold(conn: Connection, pipeline_id: str) -> Hold:
    """What keeps instances of a pipeline from going on."""
    found = _HOLD.tuples(conn, {"of_pipeline": pipeline_id})
    return Hold(
        deactivating=any(state == PipelineState.DEACTIVATING for state, _ in found),
        paused=frozenset(object_id for _, object_id in found if object_id is not None),
    )


# Built once: asked in every round of the scheduler.
_OURS = pauses.c.pipeline_id == sa.bindparam("of_pipeline")
_OF_PIPELINE = sa.select(pauses).where(_OURS).order_by(pauses.c.object_id)
_IDS = Prepared(sa.select(pauses.c.object_id).where(_OURS))
_HOLD = Prepared(
    sa.select(pipelines.c.state, pauses.c.object_id)
    .select_from(pipelines.outerjoin(pauses, pauses.c.pipeline_id == pipelines.c.pipeline_id))
    .where(pipelines.c.pipeline_id == sa.bindparam("of_pipeline"))
)


def withhold(conn: Connection, pipeline_id: str, object_ids: Collection[str]) -> None:
    """Take the attempts of these objects out of the queue, unless a runner has them."""
    waiting = sa.select(instances.c.instance_id).where(
        _concerns(pipeline_id, object_ids), instances.c.status == InstanceStatus.WAITING_FOR_RUNNER
    )
    conn.execute(
        attempts.update()
        .where(
            attempts.c.pipeline_id == pipeline_id,
            attempts.c.queue == Queue.READY,
            attempts.c.instance_id.in_(waiting),
        )
        .values(queue=Queue.HELD)
    )


def wake_waiting(
    conn: Connection, pipeline_id: str, object_ids: Collection[str], now: datetime
) -> None:
    """Have the instances of these objects looked at at once, those that nobody has begun."""
    conn.execute(
        instances.update()
        .where(_concerns(pipeline_id, object_ids), instances.c.status.in_(_NOT_BEGUN))
        .values(due_at=now)
    )


_NOT_BEGUN = (
    InstanceStatus.WAITING_ON_DEPENDENCIES,
    InstanceStatus.WAITING_FOR_RUNNER,
    InstanceStatus.PAUSED,
)


def _concerns(pipeline_id: str, object_ids: Collection[str]) -> sa.ColumnElement[bool]:
    """Whether an instance is one of these objects, or belongs to one of them."""
    ours = instances.c.pipeline_id == pipeline_id
    if pipeline_id in object_ids:
        return ours
    ids = list(object_ids)
    return ours & (
        instances.c.component_id.in_(ids)
        | instances.c.instance_id.in_(ids)
        | instances.c.backfill_id.in_(ids)
    )
