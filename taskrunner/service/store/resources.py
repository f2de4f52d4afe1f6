"""Statements on the instances of resources, which an index of their own finds among all others."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.instances import Category
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import STARTING, InstanceStatus
from taskrunner.service.store.prepared import Prepared
from taskrunner.service.store.records import fetch_first
from taskrunner.service.store.tables import instances, pipelines

#: A literal, as the partial index has it: no database knows what a parameter will be.
IS_RESOURCE = instances.c.category == sa.literal_column(f"'{Category.RESOURCE}'")


def resources_in(conn: Connection, in_statuses: Iterable[InstanceStatus]) -> list[InstanceRow]:
    """The resources of every pipeline that have one of these statuses."""
    return _RESOURCES_IN.rows(conn, InstanceRow, {"statuses": list(in_statuses)})


_RESOURCES_IN = Prepared(
    sa.select(instances).where(
        IS_RESOURCE, instances.c.status.in_(sa.bindparam("statuses", expanding=True))
    )
)


def launched_resources(conn: Connection, pipeline_id: str) -> list[str]:
    """The handles of a pipeline's resources that have been launched and not ended."""
    statement = sa.select(instances.c.resource_handle).where(
        instances.c.pipeline_id == pipeline_id,
        instances.c.resource_handle.is_not(None),
        IS_RESOURCE,
        # All of them, so that the index of resources is used: it begins with the status.
        instances.c.status.in_(sorted(InstanceStatus)),
    )
    return list(conn.execute(statement).scalars())


def creating_resource(conn: Connection, worker_group: str, *, account: str) -> InstanceRow | None:
    """The account's resource that is being launched and whose runner polls this group."""
    statement = (
        sa.select(instances)
        .join(pipelines, pipelines.c.pipeline_id == instances.c.pipeline_id)
        .where(
            instances.c.worker_group == worker_group,
            IS_RESOURCE,
            instances.c.status.in_(sorted(STARTING)),
            pipelines.c.account == account,
        )
    )
    return fetch_first(conn, InstanceRow, statement)
