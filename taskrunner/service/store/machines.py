"""Rows of `machines`: what was asked of EC2, from before it was asked until it has ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.service.store.keyring import Keyring, keyring_of
from taskrunner.service.store.launched import needed_of
from taskrunner.service.store.records import fetch, fetch_first, insert_missing
from taskrunner.service.store.rows import MachineRow
from taskrunner.service.store.tables import machines

_M = machines.c


def insert(conn: Connection, rows: Sequence[MachineRow]) -> None:
    """Note machines; where another service has noted the same launch, its rows stay."""
    insert_missing(conn, machines, [sealed(keyring_of(conn), row) for row in rows])


def sealed(ring: Keyring, row: MachineRow) -> MachineRow:
    """A machine as it is stored."""
    secret = None if row.secret is None else ring.seal(row.secret, *_place(row, "secret"))
    return replace(row, token=ring.seal(row.token, *_place(row, "token")), secret=secret)


def opened(conn: Connection, rows: Iterable[MachineRow]) -> list[MachineRow]:
    """Machines as they are stored, with their secrets as they are."""
    ring = keyring_of(conn)

    def text(row: MachineRow, name: str, value: str) -> str:
        return ring.open_if_sealed(conn, value, *_place(row, name))

    return [
        replace(
            row,
            token=text(row, "token", row.token),
            secret=None if row.secret is None else text(row, "secret", row.secret),
        )
        for row in rows
    ]


def _place(row: MachineRow, name: str) -> tuple[str, ...]:
    return ("machines", row.machine_id, name)


def of_resource(conn: Connection, pipeline_id: str, instance_id: str) -> list[MachineRow]:
    """The machines of a resource, in the order in which they were asked for."""
    ours = sa.select(machines).where(_M.pipeline_id == pipeline_id, _M.instance_id == instance_id)
    return opened(conn, fetch(conn, MachineRow, ours.order_by(_M.launch, _M.number)))


def everything(conn: Connection) -> list[MachineRow]:
    """Every machine of which something may be left."""
    return opened(conn, fetch(conn, MachineRow, sa.select(machines).order_by(_M.machine_id)))


def find(conn: Connection, machine_id: str) -> MachineRow | None:
    """A machine that has not ended."""
    one = sa.select(machines).where(_M.machine_id == machine_id, ~_M.ended)
    row = fetch_first(conn, MachineRow, one)
    return None if row is None else opened(conn, [row])[0]


def update(conn: Connection, machine_id: str, **values: Any) -> None:
    """Change what is known of a machine."""
    conn.execute(machines.update().where(_M.machine_id == machine_id).values(**values))


def claim(conn: Connection, machine_id: str, key: str) -> bool:
    """Note a machine's own key; false when it has another one already."""
    row = find(conn, machine_id)
    if row is None or row.secret is not None:
        return row is not None and row.secret == key
    sealed_key = keyring_of(conn).seal(key, *_place(row, "secret"))
    # Still without one: another service may have been told a key in this very moment.
    mine = machines.update().where(_M.machine_id == machine_id, ~_M.ended, _M.secret.is_(None))
    return conn.execute(mine.values(secret=sealed_key)).rowcount == 1


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
