"""Statements on instances and on what they wait for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.instances import InstanceSpec
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import (
    INSTANCE_LIVE,
    INSTANCE_TERMINAL,
    InstanceStatus,
    advance,
)
from taskrunner.service.store.prepared import Prepared
from taskrunner.service.store.records import (
    fetch,
    insert_missing_columns,
    is_row,
    key_of,
)
from taskrunner.service.store.tables import dependencies, instances

#: Instances that are looked at when a place under maxActiveInstances becomes free.
PLACES_OFFERED = 8


def insert_instances(
    conn: Connection,
    pipeline_id: str,
    version: int,
    specs: Sequence[InstanceSpec],
    now: datetime,
    status: InstanceStatus = InstanceStatus.WAITING_ON_DEPENDENCIES,
    *,
    backfill_id: str | None = None,
) -> None:
    """Make instances that are not there yet, each to be looked at when its time comes."""
    if not specs:
        return
    # One row as a model: to make each as a row, and take that apart, costs as much as inserting it.
    model = _new(pipeline_id, version, specs[0], now, status, backfill_id).columns()
    insert_missing_columns(
        conn, instances, [{**model, **_own_columns(spec, now, status)} for spec in specs]
    )
    waits = [
        {
            "pipeline_id": pipeline_id,
            "instance_id": spec.instance_id,
            "depends_on": dependency.instance_id,
            "kind": dependency.kind,
        }
        for spec in specs
        for dependency in spec.dependencies
    ]
    insert_missing_columns(conn, dependencies, waits)


def _new(
    pipeline_id: str,
    version: int,
    spec: InstanceSpec,
    now: datetime,
    status: InstanceStatus,
    backfill_id: str | None,
) -> InstanceRow:
    return InstanceRow(
        pipeline_id=pipeline_id,
        version=version,
        status=status,
        created_at=now,
        backfill_id=backfill_id,
        **_own_columns(spec, now, status),
    )


def _own_columns(spec: InstanceSpec, now: datetime, status: InstanceStatus) -> dict[str, Any]:
    """What one instance does not share with the others that are made at once."""
    return {
        "instance_id": spec.instance_id,
        "component_id": spec.component_id,
        "name": spec.name,
        "type": spec.type,
        "category": spec.category,
        "scheduled_start": spec.start,
        "scheduled_end": spec.end,
        "not_before": spec.not_before,
        "worker_group": spec.worker_group,
        "node_id": spec.node_id,
        "due_at": None if status in INSTANCE_TERMINAL else max(now, spec.not_before),
    }


# Built once: on these paths putting a statement together would cost more than executing it.
_IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_OF_PIPELINE: sa.BindParameter[Any] = sa.bindparam("of_pipeline")
_THESE = (instances.c.pipeline_id == _OF_PIPELINE, instances.c.instance_id.in_(_IDS))
_STATUSES = Prepared(sa.select(instances.c.instance_id, instances.c.status).where(*_THESE))
_CHANGE = instances.update().where(*_THESE)
_PUT_OFF = Prepared(_CHANGE)
# Literals where the partial index has them: no database knows what a parameter will be.
_WANT_PLACE = Prepared(
    sa.select(instances.c.instance_id)
    .where(
        instances.c.pipeline_id == _OF_PIPELINE,
        instances.c.component_id == sa.bindparam("of_component"),
        instances.c.place_wanted.is_(True),
    )
    .order_by(instances.c.scheduled_start)
    .limit(PLACES_OFFERED)
)
# By the statuses that are meant, never by those that are not: an index finds only the former, and
# what has ended becomes more for ever.
_IS_LIVE = instances.c.status.in_(sorted(INSTANCE_LIVE))
_LIVE_IDS = sa.select(instances.c.instance_id).where(
    instances.c.pipeline_id == _OF_PIPELINE, _IS_LIVE
)
_UNFINISHED = Prepared(_LIVE_IDS.limit(1))


def newest_start(conn: Connection, pipeline_id: str) -> datetime | None:
    """The start of the newest period that a pipeline has instances of."""
    moment: datetime | None = _NEWEST_START.scalar(conn, {"of_pipeline": pipeline_id})
    return moment


_NEWEST_START = Prepared(
    sa.select(sa.func.max(instances.c.scheduled_start)).where(
        instances.c.pipeline_id == _OF_PIPELINE
    )
)


def load_instances(
    conn: Connection,
    pipeline_id: str,
    instance_ids: Iterable[str] | None = None,
    *,
    live: bool = False,
    lock: bool = False,
) -> list[InstanceRow]:
    """Instances of a pipeline in the order of their periods: all, or those with these ids.

    `live`: only those that are not at their end. `lock`: hold them until the transaction ends.
    """
    statement = sa.select(instances).where(instances.c.pipeline_id == pipeline_id)
    if instance_ids is not None:
        statement = statement.where(instances.c.instance_id.in_(list(instance_ids)))
    if live:
        statement = statement.where(_IS_LIVE)
    if lock:
        statement = statement.with_for_update()
    # Not by the database: for the sake of the order SQLite would go through the whole pipeline.
    return sorted(fetch(conn, InstanceRow, statement), key=in_order)


def in_order(row: InstanceRow) -> tuple[datetime, str]:
    """What rows of a pipeline are sorted by: their periods."""
    return row.scheduled_start, row.instance_id


def canceled_by(conn: Connection, pipeline_id: str, error_id: str) -> list[InstanceRow]:
    """The instances of a pipeline that were canceled for this reason, in their order."""
    statement = sa.select(instances).where(
        instances.c.pipeline_id == pipeline_id,
        instances.c.status == InstanceStatus.CANCELED,
        instances.c.error_id == error_id,
    )
    return sorted(fetch(conn, InstanceRow, statement), key=in_order)


def live_ids(conn: Connection, pipeline_id: str) -> list[str]:
    """The ids of the instances of a pipeline that are not at their end."""
    return list(conn.execute(_LIVE_IDS, {"of_pipeline": pipeline_id}).scalars())


def load_instance(conn: Connection, pipeline_id: str, instance_id: str) -> InstanceRow:
    """One instance, which must be there."""
    wanted = {"of_pipeline_id": pipeline_id, "of_instance_id": instance_id}
    found = _ONE.first_row(conn, InstanceRow, wanted)
    if found is None:
        raise LookupError(f"pipeline {pipeline_id} has no instance {instance_id}")
    return found


def serves(conn: Connection, pipeline_id: str, worker_groups: Iterable[str]) -> bool:
    """Whether the pipeline has, or had, work for one of these groups."""
    statement = (
        sa.select(instances.c.instance_id)
        .where(
            instances.c.pipeline_id == pipeline_id,
            instances.c.worker_group.in_(sorted(worker_groups)),
        )
        .limit(1)
    )
    return conn.execute(statement).first() is not None


def statuses(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str]
) -> dict[str, InstanceStatus]:
    """The status of each of these instances that exists."""
    wanted = {"of_pipeline": pipeline_id, "ids": list(instance_ids)}
    return {key: InstanceStatus(status) for key, status in _STATUSES.tuples(conn, wanted)}


def update_instance(
    conn: Connection,
    row: InstanceRow,
    **values: Any,
) -> bool:
    """Change an instance if it is still as `row` says; whether it was.

    That is its status, and which of its attempts it is about: two services that count the same
    failure must not count it twice. Raises IllegalTransition for a status that its table does not
    allow from there.
    """
    to = values.get("status", row.status)
    if to != row.status:
        advance(row.status, to)
    expected = {
        **key_of(instances, row),
        "of_status": row.status,
        "of_attempt": row.attempt_count,
        "of_failures": row.failures,
        "of_reruns": row.reruns,
    }
    return _UPDATE.change(conn, {**expected, **values}) == 1


def update_unbegun(conn: Connection, rows: Sequence[InstanceRow], **values: Any) -> None:
    """Change instances of one pipeline that wait and of which there is no attempt.

    The caller holds them. Raises ValueError when one of them is not as its row says.
    """
    wanted = {"of_pipeline": rows[0].pipeline_id, "ids": [row.instance_id for row in rows]}
    changed = _UPDATE_UNBEGUN.change(conn, {**wanted, **values})
    if changed != len(rows):
        raise ValueError(f"{len(rows)} instances were to be changed, {changed} waited still")


_ONE = Prepared(sa.select(instances).where(is_row(instances)))
_NOT_ENDED = instances.c.status.not_in(sorted(INSTANCE_TERMINAL))
_WAKE = Prepared(_CHANGE.where(_NOT_ENDED))
_UPDATE_UNBEGUN = Prepared(
    _CHANGE.where(
        instances.c.status == InstanceStatus.WAITING_ON_DEPENDENCIES,
        instances.c.attempt_count == 0,
    )
)
_UPDATE = Prepared(
    instances.update().where(
        is_row(instances),
        instances.c.status == sa.bindparam("of_status"),
        instances.c.attempt_count == sa.bindparam("of_attempt"),
        instances.c.failures == sa.bindparam("of_failures"),
        instances.c.reruns == sa.bindparam("of_reruns"),
    )
)


def put_off(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str], until: datetime | None
) -> None:
    """Set when these instances are next due; None: only when woken.

    Whether they wait for a place is found out when they are looked at.
    """
    wanted = {"of_pipeline": pipeline_id, "ids": list(instance_ids)}
    _PUT_OFF.change(conn, {**wanted, "due_at": until, "place_wanted": False})


def look_again(conn: Connection, row: InstanceRow, at: datetime) -> None:
    """Have an instance looked at by this moment at the latest."""
    _LOOK_AGAIN.change(conn, {**key_of(instances, row), "latest": at, "due_at": at})


_LOOK_AGAIN = Prepared(
    instances.update().where(
        is_row(instances),
        sa.or_(instances.c.due_at.is_(None), instances.c.due_at > sa.bindparam("latest")),
    )
)


def wake(conn: Connection, pipeline_id: str, instance_ids: Iterable[str], now: datetime) -> None:
    """Have these instances looked at at once; those at their end stay asleep.

    One that is due already is written all the same: a scheduler that has claimed it may be about
    to put it to sleep with what it knew before, and the row's lock makes this come after.
    """
    ids = list(instance_ids)
    if ids:
        _WAKE.change(conn, {"of_pipeline": pipeline_id, "ids": ids, "due_at": now})


def wake_siblings(conn: Connection, row: InstanceRow, now: datetime) -> None:
    """Wake the oldest instances of the component that only maxActiveInstances holds back.

    A few, since some may have got something else to wait for; those pass it on.
    """
    wanted = {"of_pipeline": row.pipeline_id, "of_component": row.component_id}
    wake(conn, row.pipeline_id, [found[0] for found in _WANT_PLACE.tuples(conn, wanted)], now)


def count_with_place(
    conn: Connection,
    pipeline_id: str,
    component_ids: Iterable[str],
    in_statuses: Iterable[InstanceStatus],
    starts: Iterable[datetime] | None = None,
) -> dict[str, int]:
    """How many instances of each component have a place; only of these periods, if given.

    What somebody has rerun takes none; a component of which none has one is left out.
    """
    wanted: dict[str, Any] = {"of_pipeline": pipeline_id, "components": list(component_ids)}
    wanted["statuses"] = list(in_statuses)
    if starts is None:
        return dict(_WITH_PLACE.tuples(conn, wanted))
    return dict(_WITH_PLACE_IN.tuples(conn, {**wanted, "starts": list(starts)}))


_HAVE_PLACE = (
    sa.select(instances.c.component_id, sa.func.count())
    .where(
        instances.c.pipeline_id == _OF_PIPELINE,
        instances.c.component_id.in_(sa.bindparam("components", expanding=True)),
        instances.c.status.in_(sa.bindparam("statuses", expanding=True)),
        instances.c.reruns == 0,
    )
    .group_by(instances.c.component_id)
)
_WITH_PLACE = Prepared(_HAVE_PLACE)
_WITH_PLACE_IN = Prepared(
    _HAVE_PLACE.where(instances.c.scheduled_start.in_(sa.bindparam("starts", expanding=True)))
)


def unfinished(conn: Connection, pipeline_id: str) -> bool:
    """Whether any instance of the pipeline is not at its end."""
    return _UNFINISHED.first(conn, {"of_pipeline": pipeline_id}) is not None
