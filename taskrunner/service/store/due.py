"""Statements on what is due: the instances that the scheduler is to look at, now or next."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.rows import InstanceRow
from taskrunner.service.store.prepared import Prepared
from taskrunner.service.store.records import is_row
from taskrunner.service.store.tables import instances, pipelines, schedules


def claim_due(conn: Connection, now: datetime, limit: int) -> list[InstanceRow]:
    """Instances that are to be looked at now; claimed until the transaction ends.

    Their pipelines are claimed with them, so that two schedulers never work on one: they would
    wake each other's instances and wait for each other, and count what is active twice.
    """
    return _CLAIM_DUE.rows(conn, InstanceRow, {"at": now, "most": limit})


def claim_pipeline(conn: Connection, pipeline_id: str) -> bool:
    """Claim a pipeline alone, for instances of it that the caller holds.

    False when it is claimed already, or was deleted.
    """
    return _CLAIM_PIPELINE.first(conn, {"of_pipeline_id": pipeline_id}) is not None


def claim_run(
    conn: Connection, pipeline_id: str, start: datetime, now: datetime, limit: int
) -> list[InstanceRow]:
    """The same for instances of one run of a pipeline that the caller holds."""
    wanted = {"of_pipeline": pipeline_id, "start": start, "at": now, "most": limit}
    return _CLAIM_RUN.rows(conn, InstanceRow, wanted)


def any_due(conn: Connection, now: datetime) -> bool:
    """Whether any instance is to be looked at now, claimed or not."""
    return _ANY_DUE.first(conn, {"at": now}) is not None


def next_due(conn: Connection) -> datetime | None:
    """The earliest moment at which an instance is to be looked at."""
    moment: datetime | None = _NEXT_DUE.scalar(conn, {})
    return moment


def next_moments(conn: Connection) -> tuple[datetime | None, datetime | None]:
    """When the next period of a schedule is to be made, and an instance to be looked at."""
    schedule, instance = _NEXT_MOMENTS.tuples(conn, {})[0]
    return schedule, instance


# Built once: on these paths putting a statement together would cost more than executing it.
# Of a deleted pipeline nothing is due: its rows go little by little. As a case, since PostgreSQL
# guesses that one column in 200 is NULL while it has no statistics, as of a new store: it would go
# from each pipeline to its instances, instead of along the index of what is due.
_IS_THERE = sa.case((pipelines.c.deleted_at.is_(None), sa.true()), else_=sa.false())
_EXISTS = (pipelines.c.pipeline_id == instances.c.pipeline_id) & _IS_THERE
_ANY_DUE = Prepared(
    sa.select(instances.c.instance_id)
    .join(pipelines, _EXISTS)
    .where(instances.c.due_at <= sa.bindparam("at"))
    .limit(1)
)
_NEXT_DUE = Prepared(
    sa.select(instances.c.due_at)
    .join(pipelines, _EXISTS)
    .where(instances.c.due_at.is_not(None))
    .order_by(instances.c.due_at)
    .limit(1)
)
_PIPELINE_IS_THERE = (
    sa.select(pipelines.c.deleted_at.is_(None))
    .where(pipelines.c.pipeline_id == instances.c.pipeline_id)
    .scalar_subquery()
)
_NEXT_MOMENTS = Prepared(
    sa.select(
        sa.select(sa.func.min(schedules.c.next_at)).scalar_subquery(),
        # Not joined: for that SQLite would go through all pipelines first (a Bloom filter).
        sa.select(instances.c.due_at)
        .where(instances.c.due_at.is_not(None), _PIPELINE_IS_THERE)
        .order_by(instances.c.due_at)
        .limit(1)
        .scalar_subquery(),
    )
)
#: The same for every claim, which a test has PostgreSQL plan.
DUE = (
    sa.select(instances)
    .join(pipelines, _EXISTS)
    .where(instances.c.due_at <= sa.bindparam("at"))
    .with_for_update(skip_locked=True)
)
_CLAIM_DUE = Prepared(DUE.order_by(instances.c.due_at).limit(sa.bindparam("most")))
_CLAIM_PIPELINE = Prepared(
    sa.select(pipelines.c.pipeline_id)
    .where(is_row(pipelines), pipelines.c.deleted_at.is_(None))
    .with_for_update(skip_locked=True)
)
_CLAIM_RUN = Prepared(
    DUE.where(
        instances.c.pipeline_id == sa.bindparam("of_pipeline"),
        instances.c.scheduled_start == sa.bindparam("start"),
    ).limit(sa.bindparam("most"))
)
