"""Health: whether what ended last succeeded, of a component and of a whole pipeline.

The guide, "Interpreting Pipeline and Component Health State": a component is HEALTHY "if it has
completed a successful execution where it was marked with a status of FINISHED or MARK_FINISHED",
and has ERROR when it or one of its preconditions failed, timed out or was canceled. A pipeline has
ERROR when "at least one component in the pipeline has a health status of ERROR". Neither has a
health before something has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.model.instances import Category, Components
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import INSTANCE_FAILED
from taskrunner.service.store import latest
from taskrunner.service.store.concerns import Broken

HEALTHY, ERROR = "HEALTHY", "ERROR"
_CHECKS = "precondition"


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
        for ref in obj.refs(_CHECKS)
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
        for component_id in _judged(components)
    )


def is_broken(conn: Connection, pipeline_id: str, components: Components, broken: Broken) -> bool:
    """Whether the health of a pipeline is ERROR: no more is looked at than what has failed."""
    return any(
        health is not None and health.status == ERROR
        for component_id in _judged(components)
        if component_id in broken.now
        or any(ref.id in broken.ever for ref in components.objects[component_id].refs(_CHECKS))
        if (health := component_health(conn, pipeline_id, component_id, components))
    )


def _judged(components: Components) -> Iterator[str]:
    """Those that have a health: what a precondition says counts for what it is checked for."""
    for component_id, category in components.runnable.items():
        if category is not Category.PRECONDITION:
            yield component_id


def worst(found: Iterable[Health | None]) -> str | None:
    """ERROR if there is any, else HEALTHY if there is any."""
    status = None
    for health in found:
        if health is not None and health.status == ERROR:
            return ERROR
        status = health.status if health is not None else status
    return status
