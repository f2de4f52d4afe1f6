"""Rules of resources over each kind of store: work moves whole, and to one group only."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from taskrunner.service.engine import Service
from taskrunner.service.resources.rules import Rules
from taskrunner.service.settings import ServiceSettings
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import ON_DEMAND, T, ec2, ref, shell

PROD, NEW = (Rules.everywhere(f"group={name}", "--resources") for name in ("prod", "new"))
USERS = [f"A{number}" for number in range(20)]


@pytest.fixture
def world(database_url: str) -> Iterator[ServiceInProcess]:
    settings = ServiceSettings(database_url=database_url, resources=PROD)
    with ServiceInProcess(database_url=database_url, settings=settings) as made:
        yield made


def run(world: ServiceInProcess) -> str:
    users = [shell(key, runsOn=ref("R")) for key in USERS]
    last = shell("Last", runsOn=ref("R"), after=" ".join(USERS))
    return world.run([ON_DEMAND, *users, last, ec2("R")])


def test_work_goes_to_the_group_and_to_another_once_the_rules_say_so(
    world: ServiceInProcess,
) -> None:
    pipeline = run(world)
    first = world.take("prod")
    world.reopen(resources=NEW)
    world.settle()
    assert world.claim("prod") is None
    assert len(world.work_off("new")) == len(USERS) - 1, "the first is still out"
    world.conclude(first)
    assert world.work_off("new") == [f"@Last_{T}_Attempt=1"]
    assert set(world.statuses(pipeline).values()) == {"FINISHED"}


def test_services_with_one_store_place_a_resource_once(
    world: ServiceInProcess, database_url: str
) -> None:
    if world.service.store.is_sqlite:
        pytest.skip("a SQLite file has one owner")
    settings = replace(world.service.settings, database_url=database_url)
    others = [Service(settings, clock=world.clock) for _ in range(3)]
    try:
        pipeline = world.put([ON_DEMAND, *(shell(key, runsOn=ref("R")) for key in USERS), ec2("R")])
        world.service.activate(pipeline)
        while world.service.scheduler.tick(world.now):
            pass
        with ThreadPoolExecutor(len(others)) as pool:
            list(pool.map(lambda other: other.resources.reconcile(world.now), others))
        found = world.instances(pipeline)
        assert found[f"@R_{T}"].status == "RUNNING"
        assert {row.worker_group for row in found.values() if row.category == "activity"} == {
            "prod"
        }
        assert {row.worker_group for row in world.attempts(pipeline)} == {"prod"}
        world.settle()
        assert len(world.work_off("prod")) == len(USERS)
    finally:
        for other in others:
            other.stop()
