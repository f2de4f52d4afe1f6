"""Health: whether what ended last succeeded, of a component and of a whole pipeline.

The guide, "Interpreting Pipeline and Component Health State": a component is HEALTHY "if it has
completed a successful execution where it was marked with a status of FINISHED or MARK_FINISHED",
and has ERROR when it or one of its preconditions failed, timed out or was canceled. A pipeline has
ERROR when "at least one component in the pipeline has a health status of ERROR". Neither has a
health before something has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.model.instances import Category, Components
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import INSTANCE_FAILED
from taskrunner.service.store import latest

HEALTHY, ERROR = "HEALTHY", "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a component is, by the instance that ended last."""

    status: str
    instance_id: str
    since: datetime

    @classmethod
    def of(cls, row: InstanceRow) -> Health:
        """What an instance that has ended says of its component."""
        return cls(
            status=ERROR if row.status in INSTANCE_FAILED else HEALTHY,
            instance_id=row.instance_id,
            since=row.actual_end or row.created_at,
        )


def component_health(
    conn: Connection, pipeline_id: str, component_id: str, components: Components
) -> Health | None:
    """How a component is; a failure of one of its preconditions since then is its own."""
    obj = components.objects[component_id]
    checks = [
        ref.id
        for ref in obj.refs("precondition")
        if components.runnable.get(ref.id) is Category.PRECONDITION
    ]
    own = latest.last_ended(conn, pipeline_id, component_id)
    failed = [
        row
        for check in dict.fromkeys(checks)
        if (row := latest.last_check(conn, pipeline_id, check, component_id))
        and row.status in INSTANCE_FAILED
    ]
    found = [Health.of(row) for row in (own, *failed) if row is not None]
    return max(found, key=lambda health: health.since, default=None)


def pipeline_health(
    conn: Connection, pipeline_id: str, components: Components | None
) -> str | None:
    """How a pipeline is: as the worst of its components."""
    if components is None:
        return None
    return worst(
        component_health(conn, pipeline_id, component_id, components)
        for component_id, category in components.runnable.items()
        # What a precondition says counts for the one that it is checked for.
        if category is not Category.PRECONDITION
    )


def worst(found: Iterable[Health | None]) -> str | None:
    """ERROR if there is any, else HEALTHY if there is any."""
    statuses = {health.status for health in found if health is not None}
    return ERROR if ERROR in statuses else HEALTHY if statuses else None
