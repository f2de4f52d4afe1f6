"""Statements on what operators have told runners."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.service.store.records import fetch
from taskrunner.service.store.rows import RunnerRow
from taskrunner.service.store.tables import runners


def load_ordered(conn: Connection) -> list[RunnerRow]:
    """The runners of every account that have an order."""
    return fetch(conn, RunnerRow, _ORDERED)


_ORDERED = sa.select(runners).where(runners.c.ordered.is_not(None))


def load_by_ids(conn: Connection, account: str, runner_ids: Sequence[str]) -> list[RunnerRow]:
    """Runners of an account by their ids."""
    statement = sa.select(runners).where(
        runners.c.account == account, runners.c.runner_id.in_(list(runner_ids))
    )
    return fetch(conn, RunnerRow, statement)


def give_order(
    conn: Connection,
    account: str,
    runner_id: str,
    order: str | None,
    *,
    by: str | None = None,
    note: str | None = None,
    at: datetime | None = None,
    until: datetime | None = None,
) -> None:
    """Note an order in place of any other; None takes it back."""
    conn.execute(
        runners.update()
        .where(runners.c.account == account, runners.c.runner_id == runner_id)
        .values(ordered=order, ordered_by=by, ordered_note=note, ordered_at=at, ordered_until=until)
    )
