"""Statements on what an operator sees at one glance: of all pipelines, and of a pipeline's runs.

A run is all instances of a pipeline whose periods start at the same moment. Each statement reads
by an index what is not at a good end, or what is newest: how much has ever run costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import INSTANCE_LIVE, InstanceStatus
from taskrunner.service.store.moments import UtcDateTime
from taskrunner.service.store.records import fetch
from taskrunner.service.store.rows import PauseRow, PipelineRow
from taskrunner.service.store.tables import (
    definitions,
    instances,
    pauses,
    pipelines,
    schedules,
)

_LIVE = sorted(INSTANCE_LIVE)
_STATUSES = {str(status): status for status in InstanceStatus}
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


#: Which pipelines are looked at.
Whose = tuple[sa.ColumnElement[bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPart:
    """The instances of one run that have the same status."""

    pipeline_id: str
    start: datetime
    status: InstanceStatus
    count: int
    end: datetime
    began: datetime | None
    ended: datetime | None


def of_account(account: str, pipeline_id: str | None = None) -> Whose:
    """The pipelines of an account that are not deleted, or one of them."""
    ours = (pipelines.c.account == account, pipelines.c.deleted_at.is_(None))
    return ours if pipeline_id is None else (*ours, pipelines.c.pipeline_id == pipeline_id)


def with_live(*, wanted: bool) -> sa.ColumnElement[bool]:
    """The pipelines with instances that have not ended, or those without any."""
    own = instances.alias("own")
    same = own.c.pipeline_id == pipelines.c.pipeline_id
    live = sa.exists().where(same, own.c.status.in_(_LIVE)).correlate(pipelines)
    return live if wanted else ~live


def among(whose: Whose, pipeline_ids: Collection[str]) -> Whose:
    """Those of these pipelines that have one of these ids."""
    return (*whose, pipelines.c.pipeline_id.in_(list(pipeline_ids)))


def load_pipelines(conn: Connection, whose: Whose) -> list[PipelineRow]:
    """Every one of these pipelines."""
    statement = sa.select(pipelines).where(*whose)
    return fetch(conn, PipelineRow, statement)


def paused_pipelines(conn: Connection, whose: Whose) -> dict[str, PauseRow]:
    """Those that are paused as a whole."""
    statement = (
        sa.select(pauses)
        .join(pipelines, pipelines.c.pipeline_id == pauses.c.pipeline_id)
        .where(*whose, pauses.c.object_id == pauses.c.pipeline_id)
    )
    return {row.pipeline_id: row for row in fetch(conn, PauseRow, statement)}


def next_runs(conn: Connection, pipeline_ids: Collection[str]) -> dict[str, datetime]:
    """When the schedules of these pipelines come to their next period."""
    statement = (
        sa.select(schedules.c.pipeline_id, sa.func.min(schedules.c.next_at))
        .where(schedules.c.pipeline_id.in_(list(pipeline_ids)), schedules.c.next_at.is_not(None))
        .group_by(schedules.c.pipeline_id)
    )
    return {row[0]: row[1] for row in conn.execute(statement)}


class StripPart(NamedTuple):
    """Of a run what a list of pipelines shows: there may be tens of thousands."""

    start: datetime
    status: InstanceStatus
    group: str | None
    number: int
    ended: datetime | None


def last_runs(
    conn: Connection, pipeline_ids: Collection[str], count: int
) -> dict[str, list[StripPart]]:
    """The newest runs of each of these pipelines, newest first, by status and worker group."""
    since = _since(pipeline_ids, count)
    parts = (*_RUN, instances.c.worker_group)
    statement = (
        sa.select(*parts, sa.func.count(), sa.func.max(instances.c.actual_end))
        .join(since, _within(since))
        .group_by(*parts)
    )
    found: dict[str, list[StripPart]] = {}
    for pipeline_id, start, status, group, number, ended in conn.execute(statement).all():
        part = StripPart(start, _STATUSES[status], group, number, ended)
        found.setdefault(pipeline_id, []).append(part)
    for own in found.values():
        own.sort(key=_START, reverse=True)
    return found


_START = attrgetter("start")


def last_groups(conn: Connection, pipeline_ids: Collection[str], count: int) -> dict[str, set[str]]:
    """The worker groups that the newest runs of each of these pipelines have work for."""
    since = _since(pipeline_ids, count)
    statement = (
        sa.select(instances.c.pipeline_id, instances.c.worker_group)
        .join(since, _within(since))
        .where(instances.c.worker_group.is_not(None))
        .distinct()
    )
    found: dict[str, set[str]] = {}
    for pipeline_id, group in conn.execute(statement):
        found.setdefault(pipeline_id, set()).add(group)
    return found


def run_starts(
    conn: Connection, pipeline_id: str, limit: int, *, before: datetime | None = None
) -> list[datetime]:
    """When the newest runs of a pipeline start that start before a moment, newest first."""
    statement = (
        sa.select(instances.c.scheduled_start)
        .where(instances.c.pipeline_id == pipeline_id)
        .distinct()
        .order_by(instances.c.scheduled_start.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(instances.c.scheduled_start < before)
    return list(conn.execute(statement).scalars())


def runs_between(
    conn: Connection, pipeline_id: str, first: datetime, last: datetime
) -> list[RunPart]:
    """The runs of a pipeline from one start to another, newest first."""
    return _parts(conn, _PARTS.where(*_between(pipeline_id, first, last)))


def runs_of_backfill(conn: Connection, pipeline_id: str, backfill_id: str) -> list[RunPart]:
    """The runs of which a backfill has begun something, as far as it is its, newest first."""
    own = (instances.c.pipeline_id == pipeline_id, instances.c.backfill_id == backfill_id)
    return _parts(conn, _PARTS.where(*own))


class CellRow(NamedTuple):
    """Of an instance what a grid shows: there may be tens of thousands."""

    instance_id: str
    component_id: str
    scheduled_start: datetime
    status: InstanceStatus
    attempt_count: int
    actual_start: datetime | None
    actual_end: datetime | None
    error_id: str | None
    cause: str | None
    late_fired: bool


def cells_between(
    conn: Connection,
    pipeline_id: str,
    first: datetime,
    last: datetime,
    *,
    changed_since: datetime | None = None,
) -> list[CellRow]:
    """The instances of runs; only those that go on, or have ended since a moment, if one is given.

    What has ended changes no more, unless it is rerun, and then it goes on.
    """
    statement = (
        sa.select(*(instances.c[name] for name in CellRow._fields))
        .where(*_between(pipeline_id, first, last))
        .order_by(instances.c.scheduled_start, instances.c.instance_id)
    )
    if changed_since is not None:
        statement = statement.where(
            sa.or_(instances.c.status.in_(_LIVE), instances.c.actual_end >= changed_since)
        )
    return [
        CellRow(row[0], row[1], row[2], _STATUSES[row[3]], *row[4:])
        for row in conn.execute(statement).all()
    ]


def page_of_instances(
    conn: Connection,
    pipeline_id: str,
    limit: int,
    *,
    where: Iterable[sa.ColumnElement[bool]] = (),
    after: tuple[datetime, str] | None = None,
) -> list[InstanceRow]:
    """Instances of a pipeline that meet conditions, newest periods first, those beyond `after`."""
    order = (instances.c.scheduled_start, instances.c.instance_id)
    statement = (
        sa.select(instances)
        .where(instances.c.pipeline_id == pipeline_id, *where)
        .order_by(*(column.desc() for column in order))
        .limit(limit)
    )
    if after is not None:
        start = sa.literal(after[0], UtcDateTime())
        statement = statement.where(sa.tuple_(*order) < sa.tuple_(start, sa.literal(after[1])))
    return fetch(conn, InstanceRow, statement)


def definition_versions(conn: Connection, pipeline_id: str) -> list[tuple[int, datetime]]:
    """The versions of a definition that are kept, newest first, and when each was put."""
    statement = (
        sa.select(definitions.c.version, definitions.c.created_at)
        .where(definitions.c.pipeline_id == pipeline_id)
        .order_by(definitions.c.version.desc())
    )
    return [(version, created_at) for version, created_at in conn.execute(statement)]


def _between(
    pipeline_id: str, first: datetime, last: datetime
) -> tuple[sa.ColumnElement[bool], ...]:
    start = instances.c.scheduled_start
    return (instances.c.pipeline_id == pipeline_id, start >= first, start <= last)


def _since(pipeline_ids: Collection[str], count: int) -> sa.Subquery:
    """Of each pipeline the start of the last but so many run; of fewer, the beginning of time."""
    nth = (
        sa.select(instances.c.scheduled_start)
        .where(instances.c.pipeline_id == pipelines.c.pipeline_id)
        .distinct()
        .order_by(instances.c.scheduled_start.desc())
        .limit(1)
        .offset(count - 1)
        .correlate(pipelines)
        .scalar_subquery()
    )
    start = sa.func.coalesce(nth, sa.literal(_BEGINNING, UtcDateTime()), type_=UtcDateTime())
    ids = list(pipeline_ids)
    return (
        sa.select(pipelines.c.pipeline_id, start.label("start"))
        .where(pipelines.c.pipeline_id.in_(ids))
        # There are no more anyway: SQLite takes a query with a limit apart from what it is joined
        # with, and looks for each start once; else anew for each instance.
        .limit(len(ids))
        .subquery()
    )


def _within(since: sa.Subquery) -> sa.ColumnElement[bool]:
    same = instances.c.pipeline_id == since.c.pipeline_id
    return sa.and_(same, instances.c.scheduled_start >= since.c.start)


_RUN = (instances.c.pipeline_id, instances.c.scheduled_start, instances.c.status)
_PARTS = (
    sa.select(
        instances.c.pipeline_id,
        instances.c.scheduled_start,
        instances.c.status,
        sa.func.count(),
        sa.func.max(instances.c.scheduled_end),
        sa.func.min(instances.c.actual_start),
        sa.func.max(instances.c.actual_end),
    )
    .group_by(*_RUN)
    .order_by(instances.c.pipeline_id, instances.c.scheduled_start.desc(), instances.c.status)
)


def _parts(conn: Connection, statement: sa.Select[Any]) -> list[RunPart]:
    return [
        RunPart(
            pipeline_id=pipeline_id,
            start=start,
            status=InstanceStatus(status),
            count=count,
            end=end,
            began=began,
            ended=ended,
        )
        for pipeline_id, start, status, count, end, began, ended in conn.execute(statement)
    ]
