"""Statements that remove a pipeline: first from everybody's sight, then its rows, bit by bit."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.states import INSTANCE_LIVE
from taskrunner.service.store.backfills import backfills
from taskrunner.service.store.pipelines import update_pipeline
from taskrunner.service.store.resources import IS_RESOURCE
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.store.tables import (
    alarms,
    attempts,
    definitions,
    dependencies,
    handouts,
    instances,
    pauses,
    pipelines,
    runs,
    schedules,
)

#: Rows that go in one transaction.
MOST_AT_ONCE = 1000
#: What a pipeline has few of; without it nothing is made or begun any more.
_AT_ONCE = (schedules, runs, backfills)
#: The rest, in this order: who reports looks for the hand-out first, and finds nothing at all.
_IN_PORTIONS = (alarms, handouts, attempts, dependencies, instances, pauses, definitions)


def mark_deleted(conn: Connection, row: PipelineRow, now: datetime) -> None:
    """Let nobody see a pipeline any more, nor anything of it be begun.

    The uniqueId is given free, as on AWS, where a deleted pipeline's name may be used again.
    """
    for table in _AT_ONCE:
        conn.execute(table.delete().where(table.c.pipeline_id == row.pipeline_id))
    # Nothing is to be launched for it.
    conn.execute(
        instances.delete().where(
            instances.c.pipeline_id == row.pipeline_id,
            IS_RESOURCE,
            instances.c.status.in_(sorted(INSTANCE_LIVE)),
        )
    )
    update_pipeline(
        conn,
        row.pipeline_id,
        deleted_at=now,
        unique_id=f"{row.unique_id} (deleted {row.pipeline_id})",
    )


def remove_some(conn: Connection, pipeline_id: str, most: int = MOST_AT_ONCE) -> bool:
    """Remove rows of a pipeline that was marked; whether there may be more."""
    left = most
    for table in _IN_PORTIONS:
        left -= _remove(conn, table, pipeline_id, left)
        if left <= 0:
            return True
    return False


def _remove(conn: Connection, table: sa.Table, pipeline_id: str, most: int) -> int:
    key = list(table.primary_key)
    found = sa.select(*key).where(table.c.pipeline_id == pipeline_id).limit(most)
    rows = conn.execute(found).mappings()
    keys = [{f"of_{name}": value for name, value in row.items()} for row in rows]
    if keys:
        is_row = sa.and_(*(column == sa.bindparam(f"of_{column.name}") for column in key))
        conn.execute(table.delete().where(is_row), keys)
    return len(keys)


def half_removed(conn: Connection) -> list[str]:
    """Pipelines that were marked as deleted and of which there still are rows."""
    marked = pipelines.c.deleted_at.is_not(None)
    return list(
        conn.execute(sa.select(pipelines.c.pipeline_id).where(marked, _any_left())).scalars()
    )


def _any_left() -> sa.ColumnElement[bool]:
    return sa.or_(*(_has(table) for table in _IN_PORTIONS))


def _has(table: sa.Table) -> sa.ColumnElement[bool]:
    of = table.c.pipeline_id == pipelines.c.pipeline_id
    return sa.exists().where(of)
