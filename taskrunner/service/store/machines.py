"""Rows of `machines`: what was asked of EC2, from before it was asked until it has ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.service.store.launched import needed_of
from taskrunner.service.store.records import fetch, fetch_first, insert_missing
from taskrunner.service.store.rows import MachineRow
from taskrunner.service.store.tables import machines

_M = machines.c


def insert(conn: Connection, rows: Sequence[MachineRow]) -> None:
    """Note machines; where another service has noted the same launch, its rows stay."""
    insert_missing(conn, machines, rows)


def of_resource(conn: Connection, pipeline_id: str, instance_id: str) -> list[MachineRow]:
    """The machines of a resource, in the order in which they were asked for."""
    ours = sa.select(machines).where(_M.pipeline_id == pipeline_id, _M.instance_id == instance_id)
    return fetch(conn, MachineRow, ours.order_by(_M.launch, _M.number))


def everything(conn: Connection) -> list[MachineRow]:
    """Every machine of which something may be left."""
    return fetch(conn, MachineRow, sa.select(machines).order_by(_M.machine_id))


def find(conn: Connection, machine_id: str) -> MachineRow | None:
    """A machine that has not ended."""
    one = sa.select(machines).where(_M.machine_id == machine_id, ~_M.ended)
    return fetch_first(conn, MachineRow, one)


def update(conn: Connection, machine_id: str, **values: Any) -> None:
    """Change what is known of a machine."""
    conn.execute(machines.update().where(_M.machine_id == machine_id).values(**values))


def claim(conn: Connection, machine_id: str, key: str) -> bool:
    """Note a machine's own key; false when it has another one already."""
    free = sa.or_(_M.secret.is_(None), _M.secret == key)
    mine = machines.update().where(_M.machine_id == machine_id, ~_M.ended, free)
    return conn.execute(mine.values(secret=key)).rowcount == 1


def end(conn: Connection, ec2_ids: Iterable[str]) -> None:
    """Note that the machines of these instances are not needed any more."""
    gone = _M.ec2_id.in_(list(ec2_ids))
    conn.execute(machines.update().where(gone, ~_M.ended).values(ended=True))


def remove(conn: Connection, machine_ids: Iterable[str]) -> None:
    """Forget machines of which nothing is left."""
    conn.execute(machines.delete().where(_M.machine_id.in_(list(machine_ids))))


def needed(conn: Connection) -> dict[str, str | None]:
    """The machines of resources that run or are being made, with EC2's ids where they are known."""
    return needed_of(conn, machines, "machine_id", "ec2_id", scheme="ec2:")
