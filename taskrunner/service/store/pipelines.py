"""Statements on pipelines, their definitions and how far their schedules have come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.errors import InvalidRequest, PipelineDeleted, PipelineNotFound
from taskrunner.model.states import PipelineState
from taskrunner.service.store import audit
from taskrunner.service.store.keyring import keyring_of
from taskrunner.service.store.prepared import Prepared
from taskrunner.service.store.records import (
    fetch,
    fetch_first,
    insert_missing,
    is_row,
    key_of,
)
from taskrunner.service.store.rows import PipelineRow, ScheduleRow
from taskrunner.service.store.sealed_bodies import opened_body, sealed_body
from taskrunner.service.store.tables import definitions, pipelines, schedules

#: AWS's own bound.
_MOST_TAGS = 10


def insert_pipeline(conn: Connection, row: PipelineRow) -> str:
    """Add a pipeline, unless one of the same name and uniqueId is there; returns the id of it."""
    insert_missing(conn, pipelines, [row])
    there = find_by_unique_id(conn, row.account, row.name, row.unique_id)
    if there is None or there.pipeline_id == row.pipeline_id:
        audit.note(conn, row.pipeline_id, after=row.name)
    return there.pipeline_id if there else row.pipeline_id


def find_by_unique_id(
    conn: Connection, account: str, name: str, unique_id: str
) -> PipelineRow | None:
    """The pipeline that an earlier CreatePipeline with the same name and uniqueId made."""
    statement = sa.select(pipelines).where(
        pipelines.c.account == account,
        pipelines.c.name == name,
        pipelines.c.unique_id == unique_id,
    )
    return fetch_first(conn, PipelineRow, statement)


def load_pipeline(
    conn: Connection, pipeline_id: str, *, account: str | None = None, lock: bool = False
) -> PipelineRow:
    """One pipeline. Raises PipelineNotFound, or PipelineDeleted."""
    wanted = {"of_pipeline_id": pipeline_id}
    if account is None:
        row = (_LOCKED if lock else _ONE).first_row(conn, PipelineRow, wanted)
    else:
        own = {**wanted, "of_account": account}
        row = (_OWN_LOCKED if lock else _OWN).first_row(conn, PipelineRow, own)
    if row is None:
        raise not_found(pipeline_id)
    if row.deleted_at is not None:
        raise PipelineDeleted(f"Pipeline with id: {pipeline_id} has been deleted")
    return row


# Built once, as what follows: asked for nearly every call.
_BY_ID = sa.select(pipelines).where(is_row(pipelines))
_ONE, _LOCKED = Prepared(_BY_ID), Prepared(_BY_ID.with_for_update())
_OWN_BY_ID = _BY_ID.where(pipelines.c.account == sa.bindparam("of_account"))
_OWN, _OWN_LOCKED = Prepared(_OWN_BY_ID), Prepared(_OWN_BY_ID.with_for_update())


def lock_pipeline(conn: Connection, pipeline_id: str) -> None:
    """Let nobody else change a pipeline, or make instances of it, until the transaction ends."""
    conn.execute(_PIPELINE_ID.where(pipelines.c.pipeline_id == pipeline_id).with_for_update())


_PIPELINE_ID = sa.select(pipelines.c.pipeline_id)


def not_found(pipeline_id: str) -> PipelineNotFound:
    """What is said of a pipeline that is not there, or not for the caller's eyes."""
    return PipelineNotFound(f"Pipeline with id: {pipeline_id} does not exist")


def list_pipelines(
    conn: Connection, account: str | None, after: str | None, limit: int
) -> list[PipelineRow]:
    """Pipelines in the order of their ids, those after `after`."""
    statement = (
        sa.select(pipelines)
        .where(pipelines.c.deleted_at.is_(None))
        .order_by(pipelines.c.pipeline_id)
        .limit(limit)
    )
    if account is not None:
        statement = statement.where(pipelines.c.account == account)
    if after is not None:
        statement = statement.where(pipelines.c.pipeline_id > after)
    return fetch(conn, PipelineRow, statement)


def update_pipeline(conn: Connection, pipeline_id: str, **values: Any) -> None:
    """Change columns of a pipeline."""
    _UPDATE.change(conn, {"of_pipeline_id": pipeline_id, **values})


_UPDATE = Prepared(pipelines.update().where(is_row(pipelines)))


def change_tags(
    conn: Connection, pipeline_id: str, change: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    """Change a pipeline's tags. Raises InvalidRequest beyond ten."""
    row = load_pipeline(conn, pipeline_id, lock=True)
    tags = change(dict(row.tags))
    if len(tags) > _MOST_TAGS:
        raise InvalidRequest(f"a pipeline can have at most {_MOST_TAGS} tags")
    update_pipeline(conn, pipeline_id, tags=[list(tag) for tag in tags.items()])
    audit.note(conn, pipeline_id, before=_tags(dict(row.tags)), after=_tags(tags))


def _tags(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in tags.items())


def being_deactivated(conn: Connection) -> list[PipelineRow]:
    """Pipelines of which something still is to come to its end."""
    statement = sa.select(pipelines).where(
        pipelines.c.state == PipelineState.DEACTIVATING, pipelines.c.deleted_at.is_(None)
    )
    return fetch(conn, PipelineRow, statement)


def save_definition(
    conn: Connection, pipeline_id: str, version: int, body: Mapping[str, Any], now: datetime
) -> None:
    """Store one version of a definition, its secrets sealed, and make it the latest."""
    sealed, key_id = sealed_body(keyring_of(conn), body, pipeline_id, version)
    conn.execute(
        definitions.insert().values(
            pipeline_id=pipeline_id,
            version=version,
            body=dict(sealed),
            created_at=now,
            data_key=key_id,
        )
    )
    update_pipeline(conn, pipeline_id, latest_version=version)
    audit.note(
        conn,
        pipeline_id,
        before=f"version {version - 1}" if version > 1 else None,
        after=f"version {version}",
    )


def load_definition(conn: Connection, pipeline_id: str, version: int) -> Mapping[str, Any] | None:
    """The stored body of one version, its secrets opened."""
    row = _BODY.first(conn, {"of_pipeline_id": pipeline_id, "of_version": version})
    if row is None:
        return None
    body, data_key = row
    return opened_body(conn, keyring_of(conn), body, pipeline_id, version) if data_key else body


_BODY = Prepared(sa.select(definitions.c.body, definitions.c.data_key).where(is_row(definitions)))


def replace_schedules(conn: Connection, pipeline_id: str, rows: Sequence[ScheduleRow]) -> None:
    """Set how far each schedule of a pipeline has come."""
    _NO_SCHEDULES.change(conn, {"of_pipeline": pipeline_id})
    _INSERT_SCHEDULE.change_all(conn, [row.columns() for row in rows])


_NO_SCHEDULES = Prepared(
    schedules.delete().where(schedules.c.pipeline_id == sa.bindparam("of_pipeline"))
)
_INSERT_SCHEDULE = Prepared(schedules.insert())


def load_schedules(conn: Connection, pipeline_id: str) -> list[ScheduleRow]:
    """Every schedule of an active pipeline."""
    return _SCHEDULES.rows(conn, ScheduleRow, {"of_pipeline": pipeline_id})


def due_schedules(conn: Connection, now: datetime, limit: int) -> list[ScheduleRow]:
    """Schedules whose next occurrence is to be made; claimed until the transaction ends.

    So are their pipelines, in one go: whoever holds a pipeline may want its schedules.
    """
    return _DUE_SCHEDULES.rows(conn, ScheduleRow, {"at": now, "most": limit})


def any_due_schedule(conn: Connection, now: datetime) -> bool:
    """Whether any schedule's next occurrence is to be made, claimed or not."""
    return _ANY_DUE_SCHEDULE.first(conn, {"at": now}) is not None


# Built once: asked by the scheduler in every round.
_SCHEDULES = Prepared(
    sa.select(schedules).where(schedules.c.pipeline_id == sa.bindparam("of_pipeline"))
)
_DUE_SCHEDULES = Prepared(
    sa.select(schedules)
    .join(pipelines, pipelines.c.pipeline_id == schedules.c.pipeline_id)
    .where(schedules.c.next_at <= sa.bindparam("at"))
    .order_by(schedules.c.next_at)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)
_ANY_DUE_SCHEDULE = Prepared(
    sa.select(schedules.c.schedule_id).where(schedules.c.next_at <= sa.bindparam("at")).limit(1)
)


def set_schedule(
    conn: Connection, row: ScheduleRow, next_index: int, next_at: datetime | None
) -> None:
    """Say how far a schedule has come."""
    values = {"next_index": next_index, "next_at": next_at}
    _SET_SCHEDULE.change(conn, {**key_of(schedules, row), **values})


_SET_SCHEDULE = Prepared(schedules.update().where(is_row(schedules)))
