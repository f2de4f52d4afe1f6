"""Statements on what instances wait for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.instances import Dependency, DependencyKind
from taskrunner.model.rows import InstanceRow
from taskrunner.service.store.prepared import Prepared
from taskrunner.service.store.tables import dependencies, instances

# Built once: on these paths putting a statement together would cost more than executing it.
_IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_OF_PIPELINE: sa.BindParameter[Any] = sa.bindparam("of_pipeline")
_LINKS = sa.select(
    dependencies.c.instance_id, dependencies.c.depends_on, dependencies.c.kind
).where(dependencies.c.pipeline_id == _OF_PIPELINE)
_DEPENDENCIES = Prepared(_LINKS.where(dependencies.c.instance_id.in_(_IDS)))
_DEPENDENTS = Prepared(_LINKS.where(dependencies.c.depends_on.in_(_IDS)))
_OWN = instances.alias("own")


def _others(mine: sa.Column[str], other: sa.Column[str]) -> sa.Select[Any]:
    """The instances that stand in one column of a table, for those that stand in another."""
    table = mine.table
    same_pipeline = instances.c.pipeline_id == table.c.pipeline_id
    return (
        sa.select(mine.label("of_instance"), instances)
        .join(table, same_pipeline & (instances.c.instance_id == other))
        .where(table.c.pipeline_id == _OF_PIPELINE, mine.in_(_IDS))
    )


_NEIGHBOURS = sa.union(
    _others(dependencies.c.instance_id, dependencies.c.depends_on),
    _others(dependencies.c.depends_on, dependencies.c.instance_id),
    _others(_OWN.c.instance_id, _OWN.c.node_id),
)


def neighbours(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str]
) -> dict[str, list[InstanceRow]]:
    """What each of these instances waits for, what waits for it, and its node; oldest first."""
    wanted = {"of_pipeline": pipeline_id, "ids": list(instance_ids)}
    found: dict[str, list[InstanceRow]] = {}
    for line in conn.execute(_NEIGHBOURS, wanted).mappings():
        found.setdefault(line["of_instance"], []).append(InstanceRow.from_columns(line))
    for rows in found.values():
        rows.sort(key=lambda row: (row.scheduled_start, row.instance_id))
    return found


def dependencies_of(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str]
) -> dict[str, list[Dependency]]:
    """What each of these instances waits for."""
    wanted = {"of_pipeline": pipeline_id, "ids": list(instance_ids)}
    found: dict[str, list[Dependency]] = {}
    for instance_id, other, kind in _DEPENDENCIES.tuples(conn, wanted):
        found.setdefault(instance_id, []).append(Dependency(other, DependencyKind(kind)))
    return found


def dependents_of(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str]
) -> dict[str, list[Dependency]]:
    """Who waits for each of these instances, and why."""
    wanted = {"of_pipeline": pipeline_id, "ids": list(instance_ids)}
    found: dict[str, list[Dependency]] = {}
    for other, depends_on, kind in _DEPENDENTS.tuples(conn, wanted):
        found.setdefault(depends_on, []).append(Dependency(other, DependencyKind(kind)))
    return found
