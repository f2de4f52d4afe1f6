"""Statements on what is over and may go: old rows, and old versions of definitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.errors import ErrorId
from taskrunner.model.states import INSTANCE_TERMINAL, AlarmStatus
from taskrunner.service.store.audit import audit
from taskrunner.service.store.backfills import IS_OVER, backfills
from taskrunner.service.store.keyring import keyring_of
from taskrunner.service.store.sealed_bodies import sealed_body
from taskrunner.service.store.tables import (
    alarms,
    definitions,
    handouts,
    instances,
    pipelines,
    refused_polls,
    runner_groups,
    runners,
    runs,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Rows of a table that may go once they are over."""

    table: sa.Table
    #: When they were.
    moment: sa.Column[Any]
    over: sa.ColumnElement[bool]


KINDS = (
    Kind(table=audit, moment=audit.c.at, over=sa.true()),
    Kind(table=runners, moment=runners.c.last_seen_at, over=sa.true()),
    Kind(table=runner_groups, moment=runner_groups.c.last_seen_at, over=sa.true()),
    Kind(table=refused_polls, moment=refused_polls.c.last_at, over=sa.true()),
    Kind(
        table=handouts,
        moment=handouts.c.handed_out_at,
        # Without IN, which cannot be executed for many keys at once.
        over=(handouts.c.state == "DONE") | (handouts.c.state == "SUPERSEDED"),
    ),
    Kind(table=backfills, moment=backfills.c.asked_at, over=IS_OVER),
    Kind(table=alarms, moment=alarms.c.created_at, over=alarms.c.status != AlarmStatus.PENDING),
    Kind(
        table=pipelines,
        moment=pipelines.c.deleted_at,
        over=pipelines.c.deleted_at.is_not(None),
    ),
)


def old_keys(
    conn: Connection, kind: Kind, *, before: datetime, most: int, limit: int
) -> list[tuple[Any, ...]]:
    """The keys of rows that are over since before a moment, or beyond the newest `most`."""
    newest_first = sa.select(kind.moment).where(kind.over).order_by(kind.moment.desc())
    too_many = conn.execute(newest_first.limit(1).offset(most)).scalar()
    old = kind.moment < before
    if too_many is not None:
        old = old | (kind.moment <= too_many)
    keys = sa.select(*kind.table.primary_key).where(kind.over, old).order_by(kind.moment)
    return [tuple(row) for row in conn.execute(keys.limit(limit))]


def remove(conn: Connection, kind: Kind, keys: Sequence[tuple[Any, ...]]) -> None:
    """Delete rows by their keys, those that are still over."""
    columns = list(kind.table.primary_key)
    is_it = sa.and_(*(column == sa.bindparam(f"of_{column.name}") for column in columns))
    names = [f"of_{column.name}" for column in columns]
    conn.execute(
        kind.table.delete().where(kind.over, is_it),
        [dict(zip(names, key, strict=True)) for key in keys],
    )


# -- definitions ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of a definition that another has replaced."""

    pipeline_id: str
    number: int
    replaced_at: datetime


def replaced_versions(
    conn: Connection, *, before: datetime, most: int, after: str, pipelines_at_once: int
) -> tuple[list[Version], str | None]:
    """Versions replaced before a moment, or beyond the newest `most`, of some pipelines.

    Those are the ones that follow `after` in the order of ids; with the last of them, to be given
    as `after` the next time, None at the end.
    """
    several = (
        sa.select(definitions.c.pipeline_id)
        .where(definitions.c.pipeline_id > after)
        .group_by(definitions.c.pipeline_id)
        .having(sa.func.count() > 1)
        .order_by(definitions.c.pipeline_id)
        .limit(pipelines_at_once)
    )
    found = list(conn.execute(several).scalars())
    if not found:
        return [], None
    held: dict[str, list[Any]] = {}
    rows = sa.select(
        definitions.c.pipeline_id,
        definitions.c.version,
        definitions.c.created_at,
        definitions.c.secrets_removed,
    ).where(definitions.c.pipeline_id.in_(found))
    for row in conn.execute(rows.order_by(definitions.c.version.desc())):
        held.setdefault(row.pipeline_id, []).append(row)
    old: list[Version] = []
    for pipeline_id, versions in held.items():
        for place, (newer, row) in enumerate(pairwise(versions), 1):
            if row.secrets_removed is None and (newer.created_at < before or place > most):
                old.append(
                    Version(
                        pipeline_id=pipeline_id, number=row.version, replaced_at=newer.created_at
                    )
                )
    return old, found[-1]


def versions_at_work(conn: Connection, pipeline_id: str) -> set[int]:
    """The versions by which something is or may be begun without a word of anybody."""
    named = sa.select(pipelines.c.latest_version, pipelines.c.active_version).where(
        pipelines.c.pipeline_id == pipeline_id
    )
    found = {number for row in conn.execute(named) for number in row}
    stopped = sa.select(instances.c.instance_id).where(
        instances.c.pipeline_id == pipeline_id, instances.c.error_id == ErrorId.DEACTIVATED
    )
    live = sa.select(instances.c.version).where(
        instances.c.pipeline_id == pipeline_id,
        # Those that a deactivation has ended are begun again by the next activation, with those
        # that it has drawn along.
        instances.c.status.not_in(INSTANCE_TERMINAL)
        | instances.c.instance_id.in_(stopped)
        | instances.c.cause.in_(stopped),
    )
    lines = sa.select(runs.c.version).where(runs.c.pipeline_id == pipeline_id)
    for statement in (live, lines):
        found.update(conn.execute(statement.distinct()).scalars())
    return found


def is_used(conn: Connection, version: Version) -> bool:
    """Whether any instance was made from a version, and is shown by it."""
    made = sa.select(instances.c.instance_id).where(
        instances.c.pipeline_id == version.pipeline_id, instances.c.version == version.number
    )
    return conn.execute(made.limit(1)).first() is not None


def delete_version(conn: Connection, version: Version) -> None:
    """Remove one version of a definition."""
    conn.execute(definitions.delete().where(*_is(version)))


def replace_body(
    conn: Connection, version: Version, body: Mapping[str, Any], *, secrets_removed: bool
) -> None:
    """Keep a version to be shown by, with what is left of it."""
    sealed, key_id = sealed_body(keyring_of(conn), body, version.pipeline_id, version.number)
    conn.execute(
        definitions.update()
        .where(*_is(version))
        .values(body=dict(sealed), secrets_removed=secrets_removed, data_key=key_id)
    )


def without_secrets(conn: Connection, pipeline_id: str, versions: Iterable[int]) -> list[int]:
    """Of these versions, those whose secrets were removed."""
    found = sa.select(definitions.c.version).where(
        definitions.c.pipeline_id == pipeline_id,
        definitions.c.version.in_(list(versions)),
        definitions.c.secrets_removed.is_(True),
    )
    return sorted(conn.execute(found).scalars())


def _is(version: Version) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return (
        definitions.c.pipeline_id == version.pipeline_id,
        definitions.c.version == version.number,
    )
