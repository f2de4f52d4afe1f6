"""Statements on attempts, the queue that they form, and the hand-outs of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.decisions import Queue
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import INSTANCE_TERMINAL, PipelineState
from taskrunner.service.store.arrays import insert_at_once
from taskrunner.service.store.prepared import Prepared
from taskrunner.service.store.records import fetch, is_row, key_of
from taskrunner.service.store.rows import HandoutRow
from taskrunner.service.store.tables import attempts, handouts, instances, pipelines


def insert_attempt(conn: Connection, row: AttemptRow) -> None:
    """Add an attempt to the queue of its worker group."""
    _INSERT.change(conn, row.columns())


def insert_attempts(conn: Connection, rows: Sequence[AttemptRow]) -> None:
    """Add some attempts to the queues of their worker groups."""
    values = [row.columns() for row in rows]
    if len(values) > 1 and conn.dialect.name == "postgresql":
        insert_at_once(conn, attempts, values, only_missing=False)
    else:
        _INSERT.change_all(conn, values)


# Built once: on these paths putting a statement together would cost more than executing it.
_INSERT = Prepared(attempts.insert())
_CHANGED = attempts.update().where(is_row(attempts), attempts.c.status == sa.bindparam("of_status"))
_UPDATE = Prepared(_CHANGED)
_ONE = Prepared(sa.select(attempts).where(is_row(attempts)))
_OF_INSTANCES = Prepared(
    sa.select(attempts)
    .where(
        attempts.c.pipeline_id == sa.bindparam("of_pipeline"),
        attempts.c.instance_id.in_(sa.bindparam("ids", expanding=True)),
    )
    .order_by(attempts.c.number)
)
_INSERT_HANDOUT = Prepared(handouts.insert())
_START_HANDOUT = Prepared(
    handouts.update()
    .where(handouts.c.task_id == sa.bindparam("of_task"), handouts.c.state == "ASSIGNED")
    .values(state="RUNNING")
)
_CLOSE_HANDOUT = Prepared(
    handouts.update().where(
        handouts.c.task_id == sa.bindparam("of_task"),
        handouts.c.state.in_(["ASSIGNED", "RUNNING"]),
    )
)
_UPDATE_HELD = Prepared(_CHANGED.where(attempts.c.task_id == sa.bindparam("held_by")))
_OF_INSTANCE = (instances.c.pipeline_id == attempts.c.pipeline_id) & (
    instances.c.instance_id == attempts.c.instance_id
)
_OF_ATTEMPT = (attempts.c.pipeline_id == handouts.c.pipeline_id) & (
    attempts.c.attempt_id == handouts.c.attempt_id
)
_OWN_HANDOUT = (
    handouts.c.task_id == sa.bindparam("of_task"),
    # What was handed out before hand-outs had owners is spoken for by whoever knows its id.
    sa.or_(
        handouts.c.user_id.is_(None),
        sa.and_(
            handouts.c.account == sa.bindparam("of_account"),
            handouts.c.user_id == sa.bindparam("of_user"),
        ),
    ),
)
_HANDOUT = Prepared(
    sa.select(handouts, attempts, instances)
    .select_from(handouts.outerjoin(attempts, _OF_ATTEMPT).outerjoin(instances, _OF_INSTANCE))
    .where(*_OWN_HANDOUT)
)
_LOCK = Prepared(
    sa.select(instances.c.status)
    .select_from(handouts.join(attempts, _OF_ATTEMPT).join(instances, _OF_INSTANCE))
    .where(*_OWN_HANDOUT)
    .with_for_update(of=instances)
)


def load_attempt(conn: Connection, pipeline_id: str, attempt_id: str) -> AttemptRow | None:
    """One attempt."""
    wanted = {"of_pipeline_id": pipeline_id, "of_attempt_id": attempt_id}
    return _ONE.first_row(conn, AttemptRow, wanted)


def load_attempts(
    conn: Connection,
    pipeline_id: str,
    *,
    attempt_ids: Sequence[str] | None = None,
) -> list[AttemptRow]:
    """Attempts of a pipeline, oldest first: all of them, or by their ids."""
    statement = (
        sa.select(attempts)
        .where(attempts.c.pipeline_id == pipeline_id)
        .order_by(attempts.c.created_at, attempts.c.number)
    )
    if attempt_ids is not None:
        statement = statement.where(attempts.c.attempt_id.in_(attempt_ids))
    return fetch(conn, AttemptRow, statement)


def head_attempts(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str]
) -> dict[str, AttemptRow]:
    """The newest attempt of each of these instances."""
    return {key: of[-1] for key, of in attempts_of(conn, pipeline_id, instance_ids).items()}


def attempts_of(
    conn: Connection, pipeline_id: str, instance_ids: Sequence[str]
) -> dict[str, list[AttemptRow]]:
    """The attempts of each of these instances that has any, the newest last."""
    found: dict[str, list[AttemptRow]] = {}
    wanted = {"of_pipeline": pipeline_id, "ids": list(instance_ids)}
    for row in _OF_INSTANCES.rows(conn, AttemptRow, wanted):
        found.setdefault(row.instance_id, []).append(row)
    return found


def claim_ready(
    conn: Connection, worker_group: str, now: datetime, *, account: str
) -> tuple[AttemptRow, InstanceRow] | None:
    """The attempt of the account's group that has been ready longest; claimed until the end.

    Its instance is claimed with it, in one go: whoever holds the instance decides about it, and
    announces the attempt again afterwards.
    """
    wanted = {"of_group": worker_group, "at": now, "of_account": account}
    return _CLAIM.first_joined(conn, (AttemptRow, InstanceRow), wanted)


def any_ready(conn: Connection, worker_group: str, now: datetime, *, account: str) -> bool:
    """Whether there is anything to claim for the account's group."""
    wanted = {"of_group": worker_group, "at": now, "of_account": account}
    return _ANY_READY.first(conn, wanted) is not None


def accounts_with_work(conn: Connection, worker_group: str, now: datetime) -> list[str]:
    """The accounts for which there is anything to claim in the group."""
    return [*conn.execute(_ACCOUNTS, {"of_group": worker_group, "at": now}).scalars()]


def any_left(conn: Connection, worker_group: str) -> bool:
    """Whether an instance that has not ended is placed in the group."""
    statement = (
        sa.select(instances.c.instance_id)
        .where(
            instances.c.worker_group == worker_group,
            instances.c.status.not_in(list(INSTANCE_TERMINAL)),
        )
        .limit(1)
    )
    return conn.execute(statement).first() is not None


_WAITING = (
    attempts.c.worker_group == sa.bindparam("of_group"),
    # As a literal, which the partial index has: what is compared to that is no parameter, else
    # SQLite compiles the statement anew at each execution, for ten times what it takes besides.
    attempts.c.queue == sa.literal_column(f"'{Queue.READY}'"),
    attempts.c.ready_at <= sa.bindparam("at"),
)
_OF_PIPELINE = (
    pipelines.c.pipeline_id == attempts.c.pipeline_id,
    # Nothing new of a pipeline that ends: there may be much of it still to be canceled or removed.
    pipelines.c.state != PipelineState.DEACTIVATING,
    pipelines.c.deleted_at.is_(None),
)
#: Not joined: for that SQLite goes through all pipelines first, to pass over those that do not fit
#: (a Bloom filter), although the first attempt mostly has one that does.
_ACCOUNT = sa.select(pipelines.c.account).where(*_OF_PIPELINE).scalar_subquery()
_READY = (*_WAITING, sa.bindparam("of_account") == _ACCOUNT)
_ACCOUNTS = (
    sa.select(pipelines.c.account)
    .distinct()
    .select_from(attempts)
    .join(pipelines, sa.and_(*_OF_PIPELINE))
    .where(*_WAITING)
    .order_by(pipelines.c.account)
)
_ANY_READY = Prepared(sa.select(attempts.c.attempt_id).where(*_READY).limit(1))
_CLAIM = Prepared(
    sa.select(attempts, instances)
    .join_from(attempts, instances, _OF_INSTANCE)
    .where(*_READY)
    .order_by(attempts.c.ready_at)
    .limit(1)
    # Not the pipeline: its other instances may be claimed at the same time.
    .with_for_update(skip_locked=True, of=[attempts, instances])
)


def update_attempt(
    conn: Connection, row: AttemptRow, *, held_by: str | None = None, **values: Any
) -> bool:
    """Change an attempt if it still has `row`'s status (and hand-out, if given)."""
    expected = {**key_of(attempts, row), "of_status": row.status}
    if held_by is None:
        return _UPDATE.change(conn, {**expected, **values}) == 1
    return _UPDATE_HELD.change(conn, {**expected, "held_by": held_by, **values}) == 1


def insert_handout(conn: Connection, row: HandoutRow) -> None:
    """Record that an attempt is given to a runner."""
    _INSERT_HANDOUT.change(conn, row.columns())


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A hand-out, and what it is of; retention may have removed that."""

    handout: HandoutRow
    attempt: AttemptRow | None
    instance: InstanceRow | None


def load_held(conn: Connection, task_id: str, *, account: str, user: str) -> Held | None:
    """The hand-out with this task id, if it was made to this user; its instance is held.

    Whoever decides about the instance does so before this, or after the transaction's end.
    """
    wanted = {"of_task": task_id, "of_account": account, "of_user": user}
    if conn.dialect.name != "sqlite":  # where there is one writer
        # By itself: what a statement that waits has read beside what it waits for may be old then.
        _LOCK.first(conn, wanted)
    found = _HANDOUT.first_joined(conn, (HandoutRow, AttemptRow, InstanceRow), wanted)
    if found is None:
        return None
    handout, attempt, instance = found
    return Held(handout=handout, attempt=attempt, instance=instance)


def handouts_of(conn: Connection, pipeline_id: str, attempt_id: str) -> list[HandoutRow]:
    """To whom an attempt was given, oldest first."""
    statement = (
        sa.select(handouts)
        .where(handouts.c.pipeline_id == pipeline_id, handouts.c.attempt_id == attempt_id)
        .order_by(handouts.c.handed_out_at, handouts.c.task_id)
    )
    return fetch(conn, HandoutRow, statement)


def start_handout(conn: Connection, task_id: str) -> None:
    """Note that a hand-out was acknowledged."""
    _START_HANDOUT.change(conn, {"of_task": task_id})


def close_handout(
    conn: Connection, task_id: str, state: str, *, verdict: str | None = None
) -> bool:
    """Move a hand-out that is still held to another state; whether it was."""
    values = {"state": state, **({"verdict": verdict} if verdict else {})}
    return _CLOSE_HANDOUT.change(conn, {"of_task": task_id, **values}) == 1
