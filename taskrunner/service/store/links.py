"""Statements on what instances wait for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.instances import Dependency, DependencyKind
from taskrunner.service.store.tables import dependencies

# Built once: on these paths putting a statement together would cost more than executing it.
_IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_OF_PIPELINE: sa.BindParameter[Any] = sa.bindparam("of_pipeline")
_DEPENDENCIES = sa.select(dependencies).where(
    dependencies.c.pipeline_id == _OF_PIPELINE, dependencies.c.instance_id.in_(_IDS)
)
_DEPENDENTS = sa.select(dependencies).where(
    dependencies.c.pipeline_id == _OF_PIPELINE, dependencies.c.depends_on.in_(_IDS)
)
_NEIGHBOURS = sa.union_all(
    sa.select(dependencies.c.depends_on).where(
        dependencies.c.pipeline_id == _OF_PIPELINE,
        dependencies.c.instance_id == sa.bindparam("of_instance"),
    ),
    sa.select(dependencies.c.instance_id).where(
        dependencies.c.pipeline_id == _OF_PIPELINE,
        dependencies.c.depends_on == sa.bindparam("of_instance"),
    ),
)


def neighbours(conn: Connection, pipeline_id: str, instance_id: str) -> set[str]:
    """The instances that one waits for, and those that wait for it."""
    wanted = {"of_pipeline": pipeline_id, "of_instance": instance_id}
    return set(conn.execute(_NEIGHBOURS, wanted).scalars())


def dependencies_of(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str]
) -> dict[str, list[Dependency]]:
    """What each of these instances waits for."""
    wanted = {"of_pipeline": pipeline_id, "ids": list(instance_ids)}
    found: dict[str, list[Dependency]] = {}
    for row in conn.execute(_DEPENDENCIES, wanted).mappings():
        dependency = Dependency(row["depends_on"], DependencyKind(row["kind"]))
        found.setdefault(row["instance_id"], []).append(dependency)
    return found


def dependents_of(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str]
) -> dict[str, list[Dependency]]:
    """Who waits for each of these instances, and why."""
    wanted = {"of_pipeline": pipeline_id, "ids": list(instance_ids)}
    found: dict[str, list[Dependency]] = {}
    for row in conn.execute(_DEPENDENTS, wanted).mappings():
        dependency = Dependency(row["instance_id"], DependencyKind(row["kind"]))
        found.setdefault(row["depends_on"], []).append(dependency)
    return found
