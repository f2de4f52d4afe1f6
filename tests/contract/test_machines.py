"""Rows of machines over both kinds of store: noted once, claimed once, needed for a while."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import InstanceStatus
from taskrunner.service.store import machines
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import MachineRow
from taskrunner.service.store.tables import instances
from tests.contract.stores import OPENING

NOW = datetime(2026, 2, 13, 2, tzinfo=UTC)
ONE = MachineRow(
    machine_id="m-1",
    pipeline_id="df-1",
    instance_id="@R",
    launch=1,
    number=0,
    account="1",
    worker_group="resource:df-1_@R",
    region="eu-west-1",
    token="t",
    created_at=NOW,
)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url, opening=OPENING)
    yield store
    store.close()


def resource(**fields: Any) -> InstanceRow:
    return InstanceRow(
        pipeline_id="df-1",
        instance_id="@R",
        component_id="R",
        name="R",
        type="Ec2Resource",
        category="resource",
        version=1,
        scheduled_start=NOW,
        scheduled_end=NOW,
        not_before=NOW,
        created_at=NOW,
        **fields,
    )


def test_of_two_services_that_note_a_launch_one_counts(store: Store) -> None:
    with store.write() as conn:
        machines.insert(conn, [ONE, replace(ONE, machine_id="m-2", number=1)])
        machines.insert(conn, [replace(ONE, machine_id="m-3", token="x")])
        found = machines.of_resource(conn, "df-1", "@R")
    assert [row.machine_id for row in found] == ["m-1", "m-2"]
    assert found[0] == ONE


def test_a_key_is_said_once_and_may_be_said_again(store: Store) -> None:
    with store.write() as conn:
        machines.insert(conn, [ONE])
        said = [machines.claim(conn, "m-1", key) for key in ("a", "b", "a")]
        machines.update(conn, "m-1", ended=True)
        said.append(machines.claim(conn, "m-1", "a"))
    assert said == [True, False, True, False]


@pytest.mark.parametrize(
    ("status", "handle", "needed"),
    [
        ("CREATING", None, True),
        ("CREATING", "ec2:eu-west-1:i-1", True),
        ("RUNNING", "ec2:eu-west-1:i-1", True),
        ("RUNNING", "group:prod", False),
        ("SHUTTING_DOWN", "ec2:eu-west-1:i-1", False),
        ("WAITING_ON_DEPENDENCIES", None, False),
        ("FINISHED", None, False),
    ],
)
def test_a_machine_is_needed_while_its_resource_runs_or_is_made(
    store: Store, status: str, handle: str | None, needed: bool
) -> None:
    row = resource(status=InstanceStatus(status), resource_handle=handle)
    with store.write() as conn:
        machines.insert(conn, [replace(ONE, ec2_id="i-1")])
        assert machines.needed(conn) == {}
        conn.execute(instances.insert(), row.columns())
        assert machines.needed(conn) == ({"m-1": "i-1"} if needed else {})
        machines.end(conn, ["i-1"])
        assert machines.needed(conn) == {}
        machines.remove(conn, ["m-1"])
        assert machines.everything(conn) == []
