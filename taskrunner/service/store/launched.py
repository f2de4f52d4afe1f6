"""What `machines` and `clusters` have in common: rows of what was made for resources."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.states import STARTING, InstanceStatus
from taskrunner.service.store.tables import instances


def needed_of(
    conn: Connection, table: sa.Table, key: str, remote_id: str, *, scheme: str
) -> dict[str, str | None]:
    """Rows of resources that run or are being made: AWS's ids, where known, by our own.

    Of a resource that is being made, its handle may not be written yet.
    """
    status, handle, own = instances.c.status, instances.c.resource_handle, table.c
    being_made = sa.and_(status == InstanceStatus.CREATING, handle.is_(None))
    running = sa.and_(status.in_([*STARTING, InstanceStatus.RUNNING]), handle.startswith(scheme))
    found = sa.select(own[key], own[remote_id]).join(
        instances,
        (instances.c.pipeline_id == own.pipeline_id) & (instances.c.instance_id == own.instance_id),
    )
    found = found.where(~own.ended, sa.or_(being_made, running))
    return {row[0]: row[1] for row in conn.execute(found)}
