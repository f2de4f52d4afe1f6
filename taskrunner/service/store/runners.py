"""Statements on runners: who asks for work, for which groups, and whose polls were refused."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from taskrunner.model.rows import Row
from taskrunner.service.store.records import fetch
from taskrunner.service.store.rows import RefusedPollRow, RunnerGroupRow, RunnerRow
from taskrunner.service.store.tables import refused_polls, runner_groups, runners

#: More of them are not shown at once.
MOST_SHOWN = 1000


def save_runners(conn: Connection, rows: Sequence[RunnerRow]) -> None:
    """Note runners as they are now; what a row does not know stays as it was."""
    _save(conn, runners, rows, kept={"first_seen_at"})


def save_groups(conn: Connection, rows: Sequence[RunnerGroupRow]) -> None:
    """Note when which runner named which group."""
    _save(conn, runner_groups, rows)


def save_refused(conn: Connection, rows: Sequence[RefusedPollRow], *, most: int) -> None:
    """Note polls that were refused, and forget all but the newest of them."""
    _save(conn, refused_polls, rows)
    if rows:
        newest = sa.select(refused_polls.c.last_at).order_by(refused_polls.c.last_at.desc())
        first_too_many = newest.limit(1).offset(most).scalar_subquery()
        conn.execute(refused_polls.delete().where(refused_polls.c.last_at <= first_too_many))


def _save(
    conn: Connection, table: sa.Table, rows: Sequence[Row], kept: Collection[str] = ()
) -> None:
    if not rows:
        return
    insert = (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(table)
    columns = [c for c in table.columns if not c.primary_key and c.name not in kept]
    new = {c.name: sa.func.coalesce(insert.excluded[c.name], c) for c in columns}
    keys = [column.name for column in table.primary_key]
    # In the order of their keys: two processes that save the same rows wait for each other.
    ordered = sorted(rows, key=lambda row: tuple(getattr(row, key) for key in keys))
    statement = insert.on_conflict_do_update(index_elements=keys, set_=new)
    conn.execute(statement, [row.columns() for row in ordered])


def load_runners(conn: Connection, account: str, *, since: datetime) -> list[RunnerRow]:
    """The runners of an account that were heard of since a moment, the last one first."""
    return fetch(conn, RunnerRow, _RUNNERS, {"of_account": account, "since": since})


def load_groups(conn: Connection, account: str, *, since: datetime) -> list[RunnerGroupRow]:
    """The groups that runners of an account have named since a moment, the last one first."""
    return fetch(conn, RunnerGroupRow, _GROUPS, {"of_account": account, "since": since})


def load_runners_of_group(conn: Connection, account: str, worker_group: str) -> list[RunnerRow]:
    """The runners that have ever named a group, the last one first."""
    return fetch(conn, RunnerRow, _OF_GROUP, {"of_account": account, "of_group": worker_group})


def load_refused(conn: Connection, account: str, *, since: datetime) -> list[RefusedPollRow]:
    """Polls by an account, or by nobody known, that were refused since a moment, newest first."""
    return fetch(conn, RefusedPollRow, _REFUSED, {"of_account": account, "since": since})


_SINCE = sa.bindparam("since", type_=runners.c.last_seen_at.type)
_RUNNERS = (
    sa.select(runners)
    .where(runners.c.account == sa.bindparam("of_account"), runners.c.last_seen_at >= _SINCE)
    .order_by(runners.c.last_seen_at.desc())
    .limit(MOST_SHOWN)
)
_GROUPS = (
    sa.select(runner_groups)
    .where(
        runner_groups.c.account == sa.bindparam("of_account"),
        runner_groups.c.last_seen_at >= _SINCE,
    )
    .order_by(runner_groups.c.last_seen_at.desc())
    .limit(MOST_SHOWN)
)
_OF_GROUP = (
    sa.select(runners)
    .join(
        runner_groups,
        (runner_groups.c.account == runners.c.account)
        & (runner_groups.c.runner_id == runners.c.runner_id),
    )
    .where(
        runner_groups.c.account == sa.bindparam("of_account"),
        runner_groups.c.worker_group == sa.bindparam("of_group"),
    )
    .order_by(runner_groups.c.last_seen_at.desc())
    .limit(MOST_SHOWN)
)
_REFUSED = (
    sa.select(refused_polls)
    .where(
        sa.or_(
            refused_polls.c.account == sa.bindparam("of_account"),
            refused_polls.c.account.is_(None),
        ),
        refused_polls.c.last_at >= _SINCE,
    )
    .order_by(refused_polls.c.last_at.desc())
    .limit(MOST_SHOWN)
)
