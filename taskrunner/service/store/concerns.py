"""Statements on what concerns somebody: what goes on, is late, or has failed, of each pipeline.

Each reads by an index what is not at a good end: how much has ever run costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.states import (
    INSTANCE_FAILED,
    INSTANCE_LIVE,
    INSTANCE_TERMINAL,
    InstanceStatus,
)
from taskrunner.service.store.summaries import Whose
from taskrunner.service.store.tables import instances, pipelines

#: What is nobody's concern any more, and mostly all that there is.
GOOD_ENDS = frozenset({InstanceStatus.FINISHED, InstanceStatus.SKIPPED})
_CONCERNS = sorted(frozenset(InstanceStatus) - GOOD_ENDS)
_LIVE = sorted(INSTANCE_LIVE)
_SAME = instances.c.pipeline_id == pipelines.c.pipeline_id


@dataclass(slots=True)
class Counts:
    """How many instances of a pipeline have each status."""

    by_status: dict[InstanceStatus, int] = field(default_factory=dict)
    #: The statuses of which there are more: those were counted no further.
    at_least: set[InstanceStatus] = field(default_factory=set)


def counts(conn: Connection, whose: Whose, most: int) -> dict[str, Counts]:
    """How many instances each pipeline has in each status other than FINISHED and SKIPPED.

    Of each status no more than so many are counted: hundreds of thousands may wait, and each takes
    a step in the index.
    """
    statement = sa.select(pipelines.c.pipeline_id, *(_up_to(most + 1, one) for one in _CONCERNS))
    found: dict[str, Counts] = {}
    for pipeline_id, *numbers in conn.execute(statement.where(*whose)):
        own = found[pipeline_id] = Counts()
        for status, number in zip(_CONCERNS, numbers, strict=True):
            if number:
                own.by_status[status] = min(number, most)
            if number > most:
                own.at_least.add(status)
    return found


def _up_to(most: int, status: InstanceStatus) -> sa.ScalarSelect[int]:
    """The count of a pipeline's instances with a status, of which no more are looked at."""
    some = (
        sa.select(instances.c.instance_id)
        .where(_SAME, instances.c.status == status)
        .limit(most)
        .correlate(pipelines)
        .subquery()
    )
    return sa.select(sa.func.count()).select_from(some).scalar_subquery()


def late(conn: Connection, whose: Whose) -> dict[str, int]:
    """How many instances of each pipeline are late: lateAfterTimeout has passed, and they go on."""
    statement = (
        sa.select(instances.c.pipeline_id, sa.func.count())
        .join(pipelines, _SAME)
        .where(
            *whose,
            instances.c.status.in_(_LIVE),
            instances.c.late_fired.is_(True),
        )
        .group_by(instances.c.pipeline_id)
    )
    return {row[0]: row[1] for row in conn.execute(statement)}


@dataclass(slots=True)
class Broken:
    """Components of a pipeline with instances that have failed."""

    #: Those of which the instance that ended last is one of them, and all of them.
    now: set[str] = field(default_factory=set)
    ever: set[str] = field(default_factory=set)


def broken(conn: Connection, whose: Whose) -> dict[str, Broken]:
    """What has failed of each pipeline, where something failed when it ended last.

    Every pipeline whose health is ERROR is among them.
    """
    # By the pipelines, and not by the column itself: for the order of an index SQLite would go
    # through all instances.
    component_id = instances.c.component_id.concat("")
    failed = (
        sa.select(
            pipelines.c.pipeline_id,
            component_id.label("component_id"),
            sa.func.max(instances.c.actual_end).label("at"),
        )
        .select_from(pipelines)
        .join(instances, _SAME)
        .where(*whose, instances.c.status.in_(sorted(INSTANCE_FAILED)))
        .group_by(pipelines.c.pipeline_id, component_id)
        .subquery()
    )
    other = instances.alias("other")
    last = (
        sa.select(sa.func.max(other.c.actual_end))
        .where(
            other.c.pipeline_id == failed.c.pipeline_id,
            other.c.component_id == failed.c.component_id,
            other.c.actual_end.is_not(None),
            other.c.status != InstanceStatus.SKIPPED,
        )
        .scalar_subquery()
    )
    statement = sa.select(failed.c.pipeline_id, failed.c.component_id, failed.c.at >= last)
    found: dict[str, Broken] = {}
    for pipeline_id, component_id, now in conn.execute(statement):
        one = found.setdefault(pipeline_id, Broken())
        one.ever.add(component_id)
        if now:
            one.now.add(component_id)
    return {key: one for key, one in found.items() if one.now}


def with_any_end(conn: Connection, whose: Whose) -> set[str]:
    """The pipelines of which anything has ended: they have a health."""
    ends = sorted(INSTANCE_TERMINAL - {InstanceStatus.SKIPPED})
    ended = sa.exists().where(_SAME, instances.c.status.in_(ends))
    statement = sa.select(pipelines.c.pipeline_id).where(*whose, ended)
    return set(conn.execute(statement).scalars())
