"""Marks of pipelines: another one when something that pages show of them has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.states import InstanceStatus
from taskrunner.service.store.backfills import backfills
from taskrunner.service.store.tables import alarms, instances, pauses, pipelines

_I = instances.c
#: What most instances of a large pipeline are, and what nothing becomes without having been
#: something else: left out, so that a mark costs little however much has run.
_MOST = {InstanceStatus.FINISHED, InstanceStatus.SKIPPED}
_LOOKED_AT = sorted(str(status) for status in InstanceStatus if status not in _MOST)


def marks(conn: Connection, pipeline_ids: Collection[str]) -> dict[str, str]:
    """The marks of these pipelines; of one that is not there, none."""
    wanted = list(pipeline_ids)
    found: dict[str, list[object]] = {}
    rows = sa.select(
        pipelines.c.pipeline_id,
        pipelines.c.state,
        pipelines.c.latest_version,
        pipelines.c.active_version,
        pipelines.c.latest_run_at,
    ).where(pipelines.c.pipeline_id.in_(wanted))
    counts = (
        sa.select(
            _I.pipeline_id,
            _I.status,
            sa.func.count(),
            sa.func.sum(_I.attempt_count),
            sa.func.max(_I.actual_start),
            sa.func.max(_I.actual_end),
        )
        .where(_I.pipeline_id.in_(wanted), _I.status.in_(_LOOKED_AT))
        .group_by(_I.pipeline_id, _I.status)
        .order_by(_I.pipeline_id, _I.status)
    )
    held = (
        sa.select(pauses.c.pipeline_id, pauses.c.object_id, pauses.c.paused_at)
        .where(pauses.c.pipeline_id.in_(wanted))
        .order_by(pauses.c.pipeline_id, pauses.c.object_id)
    )
    asked = (
        sa.select(
            backfills.c.pipeline_id,
            backfills.c.stage,
            sa.func.count(),
            sa.func.sum(backfills.c.begun),
        )
        .where(backfills.c.pipeline_id.in_(wanted))
        .group_by(backfills.c.pipeline_id, backfills.c.stage)
        .order_by(backfills.c.pipeline_id, backfills.c.stage)
    )
    for statement in (rows, counts, held, asked):
        for row in conn.execute(statement):
            found.setdefault(row[0], []).append(tuple(row[1:]))
    return {key: _digest(parts) for key, parts in found.items()}


def alarms_mark(conn: Connection, pipeline_id: str) -> str | None:
    """The mark of a pipeline with its alarms, which others than its instances change.

    Nobody but a page of alarms asks for it: it looks at every alarm that is kept.
    """
    mark = marks(conn, [pipeline_id]).get(pipeline_id)
    if mark is None:
        return None
    raised = (
        sa.select(
            alarms.c.status,
            sa.func.count(),
            sa.func.sum(alarms.c.tries),
            sa.func.max(alarms.c.next_at),
        )
        .where(alarms.c.pipeline_id == pipeline_id)
        .group_by(alarms.c.status)
        .order_by(alarms.c.status)
    )
    return _digest([mark, [tuple(row) for row in conn.execute(raised)]])


def account_mark(conn: Connection, account: str) -> str:
    """The mark of all pipelines of an account together."""
    own = sa.select(pipelines.c.pipeline_id).where(
        pipelines.c.account == account, pipelines.c.deleted_at.is_(None)
    )
    ids = list(conn.execute(own.order_by(pipelines.c.pipeline_id)).scalars())
    return _digest(sorted(marks(conn, ids).items()))


def _digest(parts: object) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
