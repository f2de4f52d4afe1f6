"""Backfills: who has had which periods of the past run, and how far that has come.

Which instances are of one stands with them, the last one that has begun them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.rows import Row
from taskrunner.model.states import INSTANCE_LIVE, InstanceStatus, PipelineState
from taskrunner.service.store.moments import UtcDateTime
from taskrunner.service.store.records import fetch, fetch_first
from taskrunner.service.store.tables import METADATA, instances, pauses, pipelines

backfills = sa.Table(
    "backfills",
    METADATA,
    sa.Column("backfill_id", sa.Text, primary_key=True),
    sa.Column("pipeline_id", sa.Text, nullable=False, index=True),
    # A BackfillStage.
    sa.Column("stage", sa.Text, nullable=False),
    # What was asked for.
    sa.Column("first", UtcDateTime, nullable=False),
    sa.Column("last", UtcDateTime, nullable=False),
    sa.Column("redo", sa.Text, nullable=False),
    sa.Column("components", sa.JSON, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("asked_by", sa.Text, nullable=False),
    sa.Column("asked_at", UtcDateTime, nullable=False, index=True),
    # Periods that run, and those of them that have been set going.
    sa.Column("periods", sa.Integer, nullable=False),
    sa.Column("begun", sa.Integer, nullable=False),
    # The other way round, and so many periods at a time; null: all of them at once.
    sa.Column("newest_first", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("at_once", sa.Integer),
    # The period that was set going last: its start and its schedule.
    sa.Column("came_to", UtcDateTime),
    sa.Column("came_to_schedule", sa.Text),
)


class BackfillStage(StrEnum):
    """How far a backfill has been brought; how its instances are is seen by them."""

    GOING = "GOING"
    CANCELING = "CANCELING"  # its instances are being ended
    CANCELED = "CANCELED"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillRow(Row):
    """One backfill."""

    backfill_id: str
    pipeline_id: str
    stage: BackfillStage
    first: datetime
    last: datetime
    redo: str
    components: tuple[str, ...]
    asked_by: str
    asked_at: datetime
    periods: int
    begun: int = 0
    reason: str | None = None
    newest_first: bool = False
    at_once: int | None = None
    came_to: datetime | None = None
    came_to_schedule: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "stage", BackfillStage(self.stage))
        object.__setattr__(self, "components", tuple(self.components))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What has become of the instances of a backfill."""

    counts: Mapping[InstanceStatus, int]
    #: Since when, and by whom, it is paused.
    paused_at: datetime | None = None
    paused_by: str | None = None

    @property
    def live(self) -> int:
        """Instances that have not ended."""
        return sum(n for status, n in self.counts.items() if status in INSTANCE_LIVE)


def insert(conn: Connection, row: BackfillRow) -> None:
    """Add a backfill."""
    conn.execute(backfills.insert(), row.columns() | {"components": list(row.components)})


def load(conn: Connection, backfill_id: str) -> BackfillRow | None:
    """One backfill."""
    statement = sa.select(backfills).where(backfills.c.backfill_id == backfill_id)
    return fetch_first(conn, BackfillRow, statement)


def update(conn: Connection, backfill_id: str, **values: Any) -> None:
    """Change columns of a backfill."""
    conn.execute(backfills.update().where(backfills.c.backfill_id == backfill_id).values(**values))


def page(
    conn: Connection,
    account: str,
    limit: int,
    *,
    pipeline_id: str | None = None,
    before: tuple[datetime, str] | None = None,
) -> list[BackfillRow]:
    """Backfills of an account's pipelines, the newest first; `before`: behind this one."""
    own = sa.and_(
        pipelines.c.pipeline_id == backfills.c.pipeline_id,
        pipelines.c.account == account,
        pipelines.c.deleted_at.is_(None),
    )
    at, key = backfills.c.asked_at, backfills.c.backfill_id
    statement = sa.select(backfills).join(pipelines, own).order_by(at.desc(), key.desc())
    if pipeline_id is not None:
        statement = statement.where(backfills.c.pipeline_id == pipeline_id)
    if before is not None:
        statement = statement.where(
            sa.or_(at < before[0], sa.and_(at == before[0], key < before[1]))
        )
    return fetch(conn, BackfillRow, statement.limit(limit))


def progress(conn: Connection, rows: Collection[BackfillRow]) -> dict[str, Progress]:
    """How far these have come, by their ids."""
    ids = [row.backfill_id for row in rows]
    counts: dict[str, dict[InstanceStatus, int]] = {key: {} for key in ids}
    of, status = instances.c.backfill_id, instances.c.status
    wanted = sa.select(of, status, sa.func.count()).where(
        instances.c.pipeline_id.in_({row.pipeline_id for row in rows}), of.in_(ids)
    )
    for key, found, n in conn.execute(wanted.group_by(of, status)):
        counts[key][InstanceStatus(found)] = n
    held = sa.select(pauses.c.object_id, pauses.c.paused_at, pauses.c.paused_by).where(
        pauses.c.pipeline_id.in_({row.pipeline_id for row in rows}), pauses.c.object_id.in_(ids)
    )
    paused = {row.object_id: (row.paused_at, row.paused_by) for row in conn.execute(held)}
    return {
        key: Progress(
            counts=counts[key],
            paused_at=paused.get(key, (None, None))[0],
            paused_by=paused.get(key, (None, None))[1],
        )
        for key in ids
    }


def live_ids(conn: Connection, row: BackfillRow) -> list[str]:
    """The instances of a backfill that have not ended, in the order of their periods."""
    statement = (
        sa.select(instances.c.instance_id)
        .where(
            instances.c.pipeline_id == row.pipeline_id,
            instances.c.backfill_id == row.backfill_id,
            instances.c.status.in_(sorted(INSTANCE_LIVE)),
        )
        .order_by(instances.c.scheduled_start, instances.c.instance_id)
    )
    return list(conn.execute(statement).scalars())


def at_work(conn: Connection, row: BackfillRow) -> int:
    """How many of its periods have an instance that has not ended."""
    starts = sa.select(sa.func.count(instances.c.scheduled_start.distinct())).where(
        instances.c.pipeline_id == row.pipeline_id,
        instances.c.backfill_id == row.backfill_id,
        instances.c.status.in_(sorted(INSTANCE_LIVE)),
    )
    return int(conn.execute(starts).scalar_one())


def to_go_on(conn: Connection) -> list[BackfillRow]:
    """Backfills with a limit of which periods are still to be set going, but for paused ones."""
    own = sa.and_(
        pipelines.c.pipeline_id == backfills.c.pipeline_id,
        pipelines.c.deleted_at.is_(None),
        pipelines.c.state.in_([PipelineState.SCHEDULED, PipelineState.FINISHED]),
    )
    held = sa.exists().where(
        pauses.c.pipeline_id == backfills.c.pipeline_id,
        pauses.c.object_id.in_([backfills.c.backfill_id, backfills.c.pipeline_id]),
    )
    statement = (
        sa.select(backfills)
        .join(pipelines, own)
        .where(_HAS_MORE, backfills.c.stage == BackfillStage.GOING, ~held)
        .order_by(backfills.c.asked_at, backfills.c.backfill_id)
    )
    return fetch(conn, BackfillRow, statement)


#: Whether periods of a backfill with a limit are still to be set going.
_HAS_MORE = backfills.c.at_once.is_not(None) & (backfills.c.begun < backfills.c.periods)


def being_canceled(conn: Connection) -> list[BackfillRow]:
    """Backfills of which something still is to be ended."""
    stage = backfills.c.stage == BackfillStage.CANCELING
    return fetch(conn, BackfillRow, sa.select(backfills).where(stage))


def mark(
    conn: Connection, pipeline_id: str, instance_ids: Collection[str], backfill_id: str
) -> None:
    """Note that these instances are a backfill's from now on."""
    conn.execute(
        instances.update()
        .where(
            instances.c.pipeline_id == pipeline_id,
            instances.c.instance_id.in_(list(instance_ids)),
        )
        .values(backfill_id=backfill_id)
    )


#: Whether a backfill has come to its end: nothing of it is left to be done. Without IN, which
#: cannot be executed for many keys at once.
IS_OVER = (
    (backfills.c.stage != BackfillStage.CANCELING)
    & ~(_HAS_MORE & (backfills.c.stage == BackfillStage.GOING))
    & ~sa.exists().where(
        instances.c.pipeline_id == backfills.c.pipeline_id,
        instances.c.backfill_id == backfills.c.backfill_id,
        sa.or_(*(instances.c.status == status for status in sorted(INSTANCE_LIVE))),
    )
)
