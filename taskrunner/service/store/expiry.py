"""Statements on runs that are over and may go: instances with their attempts and hand-outs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.errors import ErrorId
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import INSTANCE_LIVE, INSTANCE_TERMINAL, InstanceStatus, PipelineState
from taskrunner.service.store.attempts import attempts_of
from taskrunner.service.store.records import fetch
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.store.tables import (
    attempts,
    dependencies,
    handouts,
    instances,
    pauses,
    runs,
)

#: An instance with its attempts, the newest last.
Run = tuple[InstanceRow, Sequence[AttemptRow]]
_STOPPED = frozenset({PipelineState.DEACTIVATING, PipelineState.INACTIVE})
_USER = instances.alias("waiting")
_CAUSE = instances.alias("cause")


def old_runs(
    conn: Connection,
    pipeline: PipelineRow,
    component_id: str,
    *,
    before: datetime | None,
    most: int | None,
    limit: int,
) -> list[Run]:
    """Instances of a component that ended before a moment, or beyond the newest `most`."""
    ended = (
        instances.c.pipeline_id == pipeline.pipeline_id,
        instances.c.component_id == component_id,
        instances.c.actual_end.is_not(None),
    )
    old: list[sa.ColumnElement[bool]] = []
    if before is not None:
        old.append(instances.c.actual_end < before)
    if most is not None:
        newest_first = sa.select(instances.c.actual_end).where(*ended)
        newest_first = newest_first.order_by(instances.c.actual_end.desc())
        too_many = conn.execute(newest_first.limit(1).offset(most)).scalar()
        if too_many is not None:
            old.append(instances.c.actual_end <= too_many)
    return _runs(conn, pipeline, [*ended, sa.or_(sa.false(), *old)], limit)


def old_skipped(
    conn: Connection, pipeline: PipelineRow, *, before: datetime, limit: int
) -> list[Run]:
    """Instances of periods that were skipped, made before a moment: they never ended."""
    skipped = (
        instances.c.pipeline_id == pipeline.pipeline_id,
        instances.c.status == InstanceStatus.SKIPPED,
        instances.c.created_at < before,
    )
    return _runs(conn, pipeline, skipped, limit)


def _runs(
    conn: Connection,
    pipeline: PipelineRow,
    where: Sequence[sa.ColumnElement[bool]],
    limit: int,
) -> list[Run]:
    found = sa.select(instances).where(*where, *_free(pipeline))
    rows = fetch(conn, InstanceRow, found.order_by(instances.c.actual_end).limit(limit))
    tried = attempts_of(conn, pipeline.pipeline_id, [row.instance_id for row in rows])
    return [(row, tried.get(row.instance_id, ())) for row in rows]


def _free(pipeline: PipelineRow) -> list[sa.ColumnElement[bool]]:
    """That nobody waits for an instance, and nothing begins it again without a word of anybody."""
    waited_for = sa.exists().where(
        dependencies.c.pipeline_id == instances.c.pipeline_id,
        dependencies.c.depends_on == instances.c.instance_id,
        _USER.c.pipeline_id == dependencies.c.pipeline_id,
        _USER.c.instance_id == dependencies.c.instance_id,
        _USER.c.status.in_(sorted(INSTANCE_LIVE)),
    )
    in_line = sa.exists().where(
        runs.c.pipeline_id == instances.c.pipeline_id, runs.c.start == instances.c.scheduled_start
    )
    free = [instances.c.status.in_(sorted(INSTANCE_TERMINAL)), ~waited_for, ~in_line]
    if pipeline.state in _STOPPED:
        # The next activation begins what this deactivation has ended, and who was drawn along.
        drawn_along = sa.exists().where(
            _CAUSE.c.pipeline_id == instances.c.pipeline_id,
            _CAUSE.c.instance_id == instances.c.cause,
            _CAUSE.c.error_id == ErrorId.DEACTIVATED,
        )
        own = instances.c.error_id.is_distinct_from(ErrorId.DEACTIVATED)
        free += [own, ~drawn_along]
    return free


def remove_runs(conn: Connection, pipeline: PipelineRow, instance_ids: Sequence[str]) -> int:
    """Delete these instances, those that are still free, with all that is theirs; how many."""
    ours = instances.c.pipeline_id == pipeline.pipeline_id
    free = sa.select(instances.c.instance_id).where(
        ours, instances.c.instance_id.in_(instance_ids), *_free(pipeline)
    )
    ids = list(conn.execute(free.with_for_update()).scalars())
    of_attempts = sa.select(attempts.c.attempt_id).where(
        attempts.c.pipeline_id == pipeline.pipeline_id, attempts.c.instance_id.in_(ids)
    )
    tried = list(conn.execute(of_attempts).scalars())
    for column, keys in (
        (handouts.c.attempt_id, tried),
        (attempts.c.attempt_id, tried),
        (dependencies.c.instance_id, ids),
        (dependencies.c.depends_on, ids),
        (pauses.c.object_id, ids),
        (instances.c.instance_id, ids),
    ):
        table = column.table
        conn.execute(
            sa.delete(table).where(table.c.pipeline_id == pipeline.pipeline_id, column.in_(keys))
        )
    return len(ids)
