"""Statements on who waits, and on the queues of worker groups; each looks at few rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.decisions import Queue
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import InstanceStatus
from taskrunner.service.store.records import fetch_first
from taskrunner.service.store.rows import RunnerRow
from taskrunner.service.store.tables import attempts, instances, pipelines, runner_groups, runners

#: What waits in a queue is counted up to this, and instances that are as another one is.
MOST_COUNTED = 1000
MOST_ALIKE = 100
#: Of the tasks of a group that ended, those that are looked at: the ones that were ready last.
_LAST_ENDED = 500
_MOST_ACCOUNTS = 100

_PIPELINE: sa.BindParameter[Any] = sa.bindparam("of_pipeline")
_COMPONENT: sa.BindParameter[Any] = sa.bindparam("of_component")
_GROUP: sa.BindParameter[Any] = sa.bindparam("of_group")
_ACCOUNT: sa.BindParameter[Any] = sa.bindparam("of_account")


def _counted(statement: sa.Select[Any], most: int) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(statement.limit(most).subquery())


# -- instances --------------------------------------------------------------------------------

_NEXT_COMPONENT = sa.select(sa.func.min(instances.c.component_id)).where(
    instances.c.pipeline_id == _PIPELINE, instances.c.component_id > _COMPONENT
)
_IN_STATUS = (
    sa.select(instances)
    .where(
        instances.c.pipeline_id == _PIPELINE,
        instances.c.component_id == _COMPONENT,
        instances.c.status == sa.bindparam("of_status"),
    )
    .order_by(instances.c.scheduled_start)
)
_OLDEST = _IN_STATUS.limit(1)
_COUNT = _counted(_IN_STATUS.with_only_columns(instances.c.instance_id).order_by(None), MOST_ALIKE)


def components(conn: Connection, pipeline_id: str) -> Iterator[str]:
    """The components that a pipeline has instances of, each found by one step in an index."""
    found: str | None = conn.execute(
        _NEXT_COMPONENT, {"of_pipeline": pipeline_id, "of_component": ""}
    ).scalar()
    while found is not None:
        yield found
        found = conn.execute(
            _NEXT_COMPONENT, {"of_pipeline": pipeline_id, "of_component": found}
        ).scalar()


def oldest(
    conn: Connection, pipeline_id: str, component_id: str, status: InstanceStatus
) -> tuple[InstanceRow, int] | None:
    """The oldest instance of a component in a status, and how many there are, up to a number."""
    wanted = {"of_pipeline": pipeline_id, "of_component": component_id, "of_status": status}
    row = fetch_first(conn, InstanceRow, _OLDEST, wanted)
    return None if row is None else (row, int(conn.execute(_COUNT, wanted).scalar_one()))


# -- queues -----------------------------------------------------------------------------------

_OF_ACCOUNT = (pipelines.c.pipeline_id == attempts.c.pipeline_id) & (
    pipelines.c.account == _ACCOUNT
)
_AHEAD = _counted(
    sa.select(attempts.c.attempt_id)
    .join(pipelines, _OF_ACCOUNT)
    .where(
        attempts.c.worker_group == _GROUP,
        attempts.c.queue == Queue.READY,
        attempts.c.ready_at < sa.bindparam("ready_at", type_=attempts.c.ready_at.type),
    ),
    MOST_COUNTED,
)
_LATELY = (
    sa.select(attempts.c.ended_at)
    .where(attempts.c.worker_group == _GROUP, attempts.c.queue == Queue.DONE)
    .order_by(attempts.c.ready_at.desc())
    .limit(_LAST_ENDED)
    .subquery()
)
_ENDED = sa.select(sa.func.count()).where(
    _LATELY.c.ended_at >= sa.bindparam("since", type_=attempts.c.ended_at.type)
)
_OUT = (
    sa.select(attempts.c.hostname, sa.func.count().label("tasks"))
    .join(pipelines, _OF_ACCOUNT)
    .where(attempts.c.worker_group == _GROUP, attempts.c.queue == Queue.OUT)
    .group_by(attempts.c.hostname)
)


def ahead_of(conn: Connection, account: str, head: AttemptRow) -> int:
    """How many tasks of its group wait for longer, up to a number."""
    wanted = {"of_account": account, "of_group": head.worker_group, "ready_at": head.ready_at}
    return int(conn.execute(_AHEAD, wanted).scalar_one())


def ended_since(conn: Connection, worker_group: str, since: datetime) -> int:
    """How many tasks of a group have ended since a moment, up to a number."""
    return int(conn.execute(_ENDED, {"of_group": worker_group, "since": since}).scalar_one())


def running_by_host(conn: Connection, account: str, worker_group: str) -> dict[str, int]:
    """How many tasks of a group each host has."""
    wanted = {"of_account": account, "of_group": worker_group}
    return {row.hostname or "": row.tasks for row in conn.execute(_OUT, wanted)}


# -- runners ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A runner, and when it last asked for the work of a group."""

    runner: RunnerRow
    worker_group: str
    polled_at: datetime | None


_SERVING = sa.select(
    runners, runner_groups.c.worker_group, runner_groups.c.last_poll_at.label("polled_at")
).join(
    runner_groups,
    (runner_groups.c.account == runners.c.account)
    & (runner_groups.c.runner_id == runners.c.runner_id),
)
_NEWEST_FIRST = runner_groups.c.last_seen_at.desc()
_OF_GROUP = (
    _SERVING.where(runner_groups.c.account == _ACCOUNT, runner_groups.c.worker_group == _GROUP)
    .order_by(_NEWEST_FIRST)
    .limit(MOST_COUNTED)
)
_SINCE: sa.BindParameter[Any] = sa.bindparam("since", type_=runner_groups.c.last_seen_at.type)
_LATELY_ASKED = (
    _SERVING.where(runner_groups.c.account == _ACCOUNT, runner_groups.c.last_seen_at >= _SINCE)
    .order_by(_NEWEST_FIRST)
    .limit(MOST_COUNTED)
)
_NEXT_ACCOUNT = sa.select(sa.func.min(runner_groups.c.account)).where(
    runner_groups.c.account > _ACCOUNT
)
_ASKED_IN = sa.select(runner_groups.c.runner_id).where(
    runner_groups.c.account == _ACCOUNT,
    runner_groups.c.worker_group == _GROUP,
    runner_groups.c.last_seen_at >= _SINCE,
)


def serving(conn: Connection, account: str, worker_group: str) -> list[Serving]:
    """The runners that have named a group, the last one first."""
    return _all_serving(conn, _OF_GROUP, {"of_account": account, "of_group": worker_group})


def serving_since(conn: Connection, account: str, since: datetime) -> list[Serving]:
    """What the runners of an account have asked for since a moment, the last one first."""
    return _all_serving(conn, _LATELY_ASKED, {"of_account": account, "since": since})


def _all_serving(
    conn: Connection, statement: sa.Select[Any], wanted: dict[str, Any]
) -> list[Serving]:
    return [
        Serving(
            runner=RunnerRow.from_columns(found),
            worker_group=found["worker_group"],
            polled_at=found["polled_at"],
        )
        for found in conn.execute(statement, wanted).mappings()
    ]


def asked_for_elsewhere(conn: Connection, account: str, worker_group: str, since: datetime) -> bool:
    """Whether a runner of another account has named a group since a moment."""
    other: str | None = ""
    for _ in range(_MOST_ACCOUNTS):
        other = conn.execute(_NEXT_ACCOUNT, {"of_account": other}).scalar()
        if other is None:
            break
        wanted = {"of_account": other, "of_group": worker_group, "since": since}
        if other != account and conn.execute(_ASKED_IN.limit(1), wanted).first() is not None:
            return True
    return False
