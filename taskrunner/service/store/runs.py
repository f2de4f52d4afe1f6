"""Statements on runs on demand: which have their turn, and which wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.decisions import ACTIVE
from taskrunner.model.instances import Category
from taskrunner.model.rows import InstanceRow
from taskrunner.model.runs import Run, RunState
from taskrunner.model.states import INSTANCE_LIVE, INSTANCE_TERMINAL
from taskrunner.service.store.prepared import Prepared
from taskrunner.service.store.records import insert_missing
from taskrunner.service.store.tables import instances, runs


def insert_run(conn: Connection, run: Run) -> None:
    """Put a run into the line of its pipeline, unless it is there."""
    insert_missing(conn, runs, [run])


def load_runs(conn: Connection, pipeline_id: str) -> list[Run]:
    """The runs of a pipeline that are in its line, oldest first."""
    return _LINE.rows(conn, Run, {"of": pipeline_id})


def what_is_left(conn: Connection, pipeline_id: str) -> tuple[bool, bool]:
    """Whether any run of a pipeline waits for its turn, and any instance is not at its end."""
    run, instance = _LEFT.tuples(conn, {"of": pipeline_id})[0]
    return run is not None, instance is not None


def activate_run(conn: Connection, pipeline_id: str, start: datetime) -> None:
    """Give a waiting run its turn."""
    _ACTIVATE.change(conn, {"of": pipeline_id, "from": start})


def remove_runs(conn: Connection, pipeline_id: str, starts: Sequence[datetime]) -> None:
    """Take runs that are over out of the line."""
    _REMOVE.change_all(conn, [{"of": pipeline_id, "from": start} for start in starts])


def load_run(conn: Connection, pipeline_id: str, start: datetime) -> list[InstanceRow]:
    """The instances of a run."""
    wanted = {"of_pipeline": pipeline_id, "start": start}
    return _INSTANCES.rows(conn, InstanceRow, wanted)


def any_at_work(conn: Connection, pipeline_id: str, start: datetime) -> bool:
    """Whether any instance of a run is active now, be it in a queue or running."""
    wanted = {"of_pipeline": pipeline_id, "start": start}
    return _AT_WORK.first(conn, wanted) is not None


def wake_run(conn: Connection, pipeline_id: str, start: datetime, now: datetime) -> None:
    """Have the instances of a run looked at at once; those at their end stay asleep."""
    _WAKE.change(conn, {"of_pipeline": pipeline_id, "start": start, "due_at": now})


# Built once: on these paths putting a statement together would cost more than executing it.
_LINE = Prepared(
    sa.select(runs).where(runs.c.pipeline_id == sa.bindparam("of")).order_by(runs.c.start)
)
_WAITING = (
    sa.select(runs.c.start)
    .where(runs.c.pipeline_id == sa.bindparam("of"), runs.c.state == RunState.WAITING)
    .limit(1)
)
_LIVE = (
    sa.select(instances.c.instance_id)
    .where(
        instances.c.pipeline_id == sa.bindparam("of"),
        instances.c.status.in_(sorted(INSTANCE_LIVE)),
    )
    .limit(1)
)
_LEFT = Prepared(sa.select(_WAITING.scalar_subquery(), _LIVE.scalar_subquery()))
_IS_RUN = (runs.c.pipeline_id == sa.bindparam("of"), runs.c.start == sa.bindparam("from"))
_ACTIVATE = Prepared(
    runs.update().where(*_IS_RUN, runs.c.state == RunState.WAITING).values(state=RunState.ACTIVE)
)
_REMOVE = Prepared(runs.delete().where(*_IS_RUN))
_OF_RUN = (
    instances.c.pipeline_id == sa.bindparam("of_pipeline"),
    instances.c.scheduled_start == sa.bindparam("start"),
)
_INSTANCES = Prepared(sa.select(instances).where(*_OF_RUN))
_WAKE = Prepared(
    instances.update().where(*_OF_RUN, instances.c.status.not_in(sorted(INSTANCE_TERMINAL)))
)
_AT_WORK = Prepared(
    sa.select(instances.c.instance_id)
    .where(
        *_OF_RUN,
        instances.c.category != Category.RESOURCE,
        instances.c.status.in_(sorted(ACTIVE)),
    )
    .limit(1)
)
