"""Statements on instances and on what they wait for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from taskrunner.model.instances import Dependency, DependencyKind, InstanceSpec
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import INSTANCE_TERMINAL, InstanceStatus
from taskrunner.service.store.tables import dependencies, instances

__all__ = [
    "claim_due",
    "count_by_status",
    "creating_resource",
    "dependencies_of",
    "dependents_of",
    "insert_instances",
    "insert_missing",
    "load_instances",
    "look_again",
    "next_due",
    "sleep",
    "statuses",
    "unfinished",
    "update_instance",
    "wake",
    "wake_siblings",
    "with_category",
]


def insert_missing(conn: Connection, table: sa.Table, values: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; those whose key is there already are left as they are."""
    if not values:
        return
    build = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    conn.execute(build(table).on_conflict_do_nothing(), list(values))


def insert_instances(
    conn: Connection, pipeline_id: str, version: int, specs: Sequence[InstanceSpec], now: datetime
) -> None:
    """Make instances that are not there yet, each to be looked at when its time comes."""
    insert_missing(
        conn,
        instances,
        [
            {
                "pipeline_id": pipeline_id,
                "instance_id": spec.instance_id,
                "component_id": spec.component_id,
                "name": spec.name,
                "type": spec.type,
                "category": spec.category,
                "version": version,
                "status": InstanceStatus.WAITING_ON_DEPENDENCIES,
                "scheduled_start": spec.start,
                "scheduled_end": spec.end,
                "not_before": spec.not_before,
                "created_at": now,
                "worker_group": spec.worker_group,
                "node_id": spec.node_id,
                "attempt_count": 0,
                "failures": 0,
                "late_fired": False,
                "due_at": max(now, spec.not_before),
            }
            for spec in specs
        ],
    )
    insert_missing(
        conn,
        dependencies,
        [
            {
                "pipeline_id": pipeline_id,
                "instance_id": spec.instance_id,
                "depends_on": dependency.instance_id,
                "kind": dependency.kind,
            }
            for spec in specs
            for dependency in spec.dependencies
        ],
    )


def claim_due(conn: Connection, now: datetime, limit: int) -> list[InstanceRow]:
    """Instances that are to be looked at now; claimed until the transaction ends."""
    statement = (
        sa.select(instances)
        .where(instances.c.due_at <= now)
        .order_by(instances.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [InstanceRow.from_row(row) for row in conn.execute(statement).mappings()]


def next_due(conn: Connection) -> datetime | None:
    """The earliest moment at which an instance is to be looked at."""
    moment: datetime | None = conn.execute(sa.select(sa.func.min(instances.c.due_at))).scalar()
    return moment


def load_instances(
    conn: Connection, pipeline_id: str, instance_ids: Iterable[str] | None = None
) -> list[InstanceRow]:
    """Instances of a pipeline in the order of their periods: all, or those with these ids."""
    statement = (
        sa.select(instances)
        .where(instances.c.pipeline_id == pipeline_id)
        .order_by(instances.c.scheduled_start, instances.c.instance_id)
    )
    if instance_ids is not None:
        statement = statement.where(instances.c.instance_id.in_(list(instance_ids)))
    return [InstanceRow.from_row(row) for row in conn.execute(statement).mappings()]


def with_category(
    conn: Connection, category: str, in_statuses: Iterable[InstanceStatus]
) -> list[InstanceRow]:
    """Instances of every pipeline by category and status."""
    statement = sa.select(instances).where(
        instances.c.category == category, instances.c.status.in_(list(in_statuses))
    )
    return [InstanceRow.from_row(row) for row in conn.execute(statement).mappings()]


def creating_resource(conn: Connection, worker_group: str) -> InstanceRow | None:
    """The resource that is being launched and whose runner polls this group."""
    statement = sa.select(instances).where(
        instances.c.worker_group == worker_group,
        instances.c.category == "resource",
        instances.c.status == InstanceStatus.CREATING,
    )
    found = conn.execute(statement).mappings().first()
    return InstanceRow.from_row(found) if found else None


def statuses(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str]
) -> dict[str, InstanceStatus]:
    """The status of each of these instances that exists."""
    statement = sa.select(instances.c.instance_id, instances.c.status).where(
        instances.c.pipeline_id == pipeline_id, instances.c.instance_id.in_(instance_ids)
    )
    return {key: InstanceStatus(status) for key, status in conn.execute(statement)}


def dependencies_of(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str]
) -> dict[str, list[Dependency]]:
    """What each of these instances waits for."""
    statement = sa.select(dependencies).where(
        dependencies.c.pipeline_id == pipeline_id, dependencies.c.instance_id.in_(instance_ids)
    )
    found: dict[str, list[Dependency]] = {}
    for row in conn.execute(statement).mappings():
        dependency = Dependency(row["depends_on"], DependencyKind(row["kind"]))
        found.setdefault(row["instance_id"], []).append(dependency)
    return found


def dependents_of(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str]
) -> dict[str, list[Dependency]]:
    """Who waits for each of these instances, and why."""
    statement = sa.select(dependencies).where(
        dependencies.c.pipeline_id == pipeline_id, dependencies.c.depends_on.in_(instance_ids)
    )
    found: dict[str, list[Dependency]] = {}
    for row in conn.execute(statement).mappings():
        dependency = Dependency(row["instance_id"], DependencyKind(row["kind"]))
        found.setdefault(row["depends_on"], []).append(dependency)
    return found


def update_instance(
    conn: Connection,
    row: InstanceRow,
    **values: Any,
) -> bool:
    """Change an instance if it still has the status that `row` says; whether it had."""
    result = conn.execute(
        instances.update()
        .where(
            instances.c.pipeline_id == row.pipeline_id,
            instances.c.instance_id == row.instance_id,
            instances.c.status == row.status,
        )
        .values(**values)
    )
    return result.rowcount == 1


def sleep(conn: Connection, pipeline_id: str, instance_ids: Sequence[str]) -> None:
    """Have these instances looked at only when something happens."""
    conn.execute(
        instances.update()
        .where(instances.c.pipeline_id == pipeline_id, instances.c.instance_id.in_(instance_ids))
        .values(due_at=None)
    )


def look_again(conn: Connection, row: InstanceRow, at: datetime) -> None:
    """Have an instance looked at by this moment at the latest."""
    conn.execute(
        instances.update()
        .where(
            instances.c.pipeline_id == row.pipeline_id,
            instances.c.instance_id == row.instance_id,
            sa.or_(instances.c.due_at.is_(None), instances.c.due_at > at),
        )
        .values(due_at=at)
    )


def wake(conn: Connection, pipeline_id: str, instance_ids: Iterable[str], now: datetime) -> None:
    """Have these instances looked at at once; those at their end stay asleep."""
    conn.execute(
        instances.update()
        .where(
            instances.c.pipeline_id == pipeline_id,
            instances.c.instance_id.in_(list(instance_ids)),
            instances.c.status.not_in(list(INSTANCE_TERMINAL)),
            sa.or_(instances.c.due_at.is_(None), instances.c.due_at > now),
        )
        .values(due_at=now)
    )


def wake_siblings(conn: Connection, row: InstanceRow, now: datetime) -> None:
    """Have the oldest waiting instance of the same component looked at: a place is free."""
    waiting = (
        sa.select(instances.c.instance_id)
        .where(
            instances.c.pipeline_id == row.pipeline_id,
            instances.c.component_id == row.component_id,
            instances.c.status == InstanceStatus.WAITING_ON_DEPENDENCIES,
        )
        .order_by(instances.c.scheduled_start)
        .limit(8)
    )
    wake(conn, row.pipeline_id, conn.execute(waiting).scalars().all(), now)


def count_by_status(
    conn: Connection, pipeline_id: str, component_id: str, in_statuses: Iterable[InstanceStatus]
) -> int:
    """How many instances of a component have one of these statuses."""
    statement = (
        sa.select(sa.func.count())
        .select_from(instances)
        .where(
            instances.c.pipeline_id == pipeline_id,
            instances.c.component_id == component_id,
            instances.c.status.in_(list(in_statuses)),
        )
    )
    return int(conn.execute(statement).scalar_one())


def unfinished(conn: Connection, pipeline_id: str) -> bool:
    """Whether any instance of the pipeline is not at its end."""
    statement = (
        sa.select(instances.c.instance_id)
        .where(
            instances.c.pipeline_id == pipeline_id,
            instances.c.status.not_in(list(INSTANCE_TERMINAL)),
        )
        .limit(1)
    )
    return conn.execute(statement).first() is not None
