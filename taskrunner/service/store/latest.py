"""Statements on what was last of a component: each finds one row, or few, by an index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.decisions import active_statuses
from taskrunner.model.instances import Category, instance_id
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import InstanceStatus
from taskrunner.model.times import format_datetime
from taskrunner.service.store.records import fetch_first
from taskrunner.service.store.tables import handouts, instances

#: Of the instances that are active at present, those that are named.
MOST_ACTIVE_NAMED = 100

_OURS = (
    instances.c.pipeline_id == sa.bindparam("of_pipeline"),
    instances.c.component_id == sa.bindparam("of_component"),
)
# Built once: asked for each component that is described. Literals where the partial index has them.
_LAST_ENDED = (
    sa.select(instances)
    .where(
        *_OURS,
        instances.c.actual_end.is_not(None),
        instances.c.status != InstanceStatus.SKIPPED,
    )
    .order_by(instances.c.actual_end.desc(), instances.c.scheduled_start.desc())
    .limit(1)
)
_LATEST = sa.select(sa.func.max(instances.c.scheduled_start)).where(
    *_OURS, instances.c.status.in_(sa.bindparam("statuses", expanding=True))
)
_ACTIVE = (
    sa.select(instances.c.instance_id)
    .where(*_OURS, instances.c.status.in_(sa.bindparam("statuses", expanding=True)))
    .order_by(instances.c.scheduled_start)
    .limit(MOST_ACTIVE_NAMED)
)
_LOOKS: sa.Select[Any] = (
    sa.select(
        handouts.c.attempt_id,
        sa.func.count().label("looks"),
        sa.func.max(handouts.c.handed_out_at).label("last"),
    )
    .where(
        handouts.c.pipeline_id == sa.bindparam("of_pipeline"),
        handouts.c.attempt_id.in_(sa.bindparam("ids", expanding=True)),
        handouts.c.state != "ASSIGNED",
    )
    .group_by(handouts.c.attempt_id)
)


def last_ended(conn: Connection, pipeline_id: str, component_id: str) -> InstanceRow | None:
    """The instance of a component that ended last."""
    wanted = {"of_pipeline": pipeline_id, "of_component": component_id}
    return fetch_first(conn, InstanceRow, _LAST_ENDED, wanted)


def last_check(
    conn: Connection, pipeline_id: str, precondition_id: str, component_id: str
) -> InstanceRow | None:
    """The instance of a precondition that ended last of those that were made for a component."""
    begins = instance_id(component_id, _SOME_MOMENT)[: -len(format_datetime(_SOME_MOMENT))]
    statement = _LAST_ENDED.where(
        instances.c.node_id.startswith(begins, autoescape=True),
        # Else it would be one of another component whose id begins like this one.
        sa.func.length(instances.c.node_id) == len(instance_id(component_id, _SOME_MOMENT)),
    )
    wanted = {"of_pipeline": pipeline_id, "of_component": precondition_id}
    return fetch_first(conn, InstanceRow, statement, wanted)


_SOME_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def latest_start(
    conn: Connection, pipeline_id: str, component_id: str, statuses: Sequence[InstanceStatus]
) -> datetime | None:
    """The newest period of a component whose instance has one of these statuses."""
    wanted = {"of_pipeline": pipeline_id, "of_component": component_id}
    found = (
        # One at a time: so each is found at the end of its part of the index.
        conn.execute(_LATEST, {**wanted, "statuses": [status]}).scalar()
        for status in statuses
    )
    return max((moment for moment in found if moment is not None), default=None)


def active_ids(
    conn: Connection, pipeline_id: str, component_id: str, category: Category
) -> list[str]:
    """The oldest of a component's instances that are active at present."""
    wanted = {
        "of_pipeline": pipeline_id,
        "of_component": component_id,
        "statuses": sorted(active_statuses(category)),
    }
    return list(conn.execute(_ACTIVE, wanted).scalars())


def looks_of(
    conn: Connection, pipeline_id: str, attempt_ids: Sequence[str]
) -> dict[str, tuple[int, datetime]]:
    """How often each of these attempts was taken up by a runner, and when it was last."""
    wanted = {"of_pipeline": pipeline_id, "ids": list(attempt_ids)}
    return {row.attempt_id: (row.looks, row.last) for row in conn.execute(_LOOKS, wanted)}
