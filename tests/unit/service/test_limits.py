"""maxActiveInstances: what the guide allows at once where a definition says nothing, and more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from taskrunner.service.resources.base import Launch
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import (
    FakeProvider,
    T,
    check,
    ec2,
    ref,
    schedule,
    scheduled,
    shell,
)

HOUR = timedelta(hours=1)
WAITS, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"
#: Two days and a bit in the past, by the hour.
BACKFILL = schedule(startDateTime="2026-02-11T00:00:00", occurrences="20")


class Cloud(FakeProvider):
    """Knows how many machines there were at once."""

    most = 0

    def launch(self, wanted: Launch) -> str:
        handle = super().launch(wanted)
        self.most = max(self.most, len(self.launched) - len(self.ended))
        return handle


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def world(kept: ServiceInProcess, cloud: Cloud) -> ServiceInProcess:
    return kept.reset(provider=cloud)


def ready(world: ServiceInProcess, pipeline: str, component: str = "A") -> int:
    return world.components(pipeline)[component].count(READY)


def work_off_machines(world: ServiceInProcess, pipeline: str) -> int:
    """Be the agent of every machine there is until none is left; how much work was done."""
    done = 0
    while True:
        groups = {
            row.worker_group
            for row in world.instances(pipeline).values()
            if row.category == "resource" and row.status in {"ACTIVATING", "RUNNING"}
        }
        found = sum(len(world.work_off(group)) for group in sorted(filter(None, groups)))
        if not found:
            return done
        done += found


@pytest.mark.parametrize("style", ["cron", "timeseries"])
def test_a_backfill_is_done_five_at_a_time_oldest_first(
    world: ServiceInProcess, style: str
) -> None:
    pipeline = world.run([scheduled(style), BACKFILL, shell("A")])
    assert world.components(pipeline)["A"] == [READY] * 5 + [WAITS] * 15
    first = world.take()
    assert first.attempt_id == "@A_2026-02-11T00:00:00_Attempt=1"
    world.conclude(first)
    assert world.components(pipeline)["A"] == ["FINISHED"] + [READY] * 5 + [WAITS] * 14
    done = world.work_off()
    assert done == sorted(done)
    assert world.state(pipeline) == "FINISHED"


def test_no_more_than_five_machines_are_there_at_once(
    world: ServiceInProcess, cloud: Cloud
) -> None:
    """Each activity may have five places, and a precondition any number; a resource has five."""
    pipeline = world.run(
        [
            scheduled(),
            BACKFILL,
            shell("A", runsOn=ref("R"), precondition=ref("P")),
            check("P"),
            shell("B", runsOn=ref("R"), after="A"),
            ec2("R"),
        ]
    )
    assert ready(world, pipeline, "P") == 20
    assert world.components(pipeline)["R"] == ["ACTIVATING"] * 5 + [WAITS] * 15
    assert work_off_machines(world, pipeline) == 60
    assert (cloud.most, len(cloud.launched), len(cloud.ended)) == (5, 20, 20)
    assert world.state(pipeline) == "FINISHED"


def test_one_that_is_on_its_way_out_still_has_its_place(
    world: ServiceInProcess, cloud: Cloud
) -> None:
    objects = [scheduled(maxActiveInstances="1"), BACKFILL, shell("A", runsOn=ref("R")), ec2("R")]
    pipeline = world.run(objects)
    cloud.slow = True
    world.work_off(f"resource:{pipeline}_@R_2026-02-11T00:00:00")
    assert world.components(pipeline)["R"][:2] == ["SHUTTING_DOWN", WAITS]
    cloud.slow = False
    world.settle()
    assert world.components(pipeline)["R"][:2] == ["FINISHED", "ACTIVATING"]


def test_a_launch_that_is_given_up_makes_room(world: ServiceInProcess, cloud: Cloud) -> None:
    cloud.refuse = True
    default = scheduled(maxActiveInstances="1", maximumRetries="0")
    pipeline = world.run([default, BACKFILL, shell("A", runsOn=ref("R")), ec2("R")])
    assert set(world.components(pipeline)["R"]) == {"FAILED"}
    assert world.state(pipeline) == "FINISHED"


@pytest.mark.parametrize(("limit", "expected"), [("2", 2), ("9", 9)])
def test_a_definition_may_say_less_or_more(
    world: ServiceInProcess, limit: str, expected: int
) -> None:
    pipeline = world.run([scheduled(maxActiveInstances=limit), BACKFILL, shell("A")])
    assert ready(world, pipeline) == expected


def test_what_is_rerun_waits_for_no_place_and_takes_none(world: ServiceInProcess) -> None:
    pipeline = world.run([scheduled(), BACKFILL, shell("A")])
    for _ in range(3):
        world.conclude(world.take())
    ended = [key for key, status in world.statuses(pipeline).items() if status == "FINISHED"]
    world.service.set_status(pipeline, ended, "RERUN")
    world.settle()
    assert world.components(pipeline)["A"] == [READY] * 8 + [WAITS] * 12
    world.service.set_status(pipeline, ended[:1], "MARK_FINISHED")
    world.settle()
    assert ready(world, pipeline) == 7


def test_what_an_activation_takes_up_again_waits_as_at_first(world: ServiceInProcess) -> None:
    pipeline = world.run([scheduled(), BACKFILL, shell("A")])
    world.service.deactivate(pipeline)
    world.service.activate(pipeline)
    world.settle()
    assert world.components(pipeline)["A"] == [READY] * 5 + [WAITS] * 15


def test_a_pause_of_one_gives_its_place_to_another(world: ServiceInProcess) -> None:
    pipeline = world.run([scheduled(maxActiveInstances="1"), BACKFILL, shell("A")])
    world.service.set_status(pipeline, ["@A_2026-02-11T00:00:00"], "PAUSE")
    world.settle()
    assert world.components(pipeline)["A"][:3] == ["PAUSED", READY, WAITS]


def test_a_place_that_somebody_cannot_use_is_passed_on(world: ServiceInProcess) -> None:
    """More than are offered a place at a time have got something else to wait for meanwhile."""
    pipeline = world.run(
        [
            scheduled(),
            BACKFILL,
            shell("Before", workerGroup="b", maxActiveInstances="20"),
            shell("A", after="Before", maxActiveInstances="1"),
        ]
    )
    world.work_off("b")
    assert ready(world, pipeline) == 1
    again = [f"@Before_2026-02-11T{hour:02}:00:00" for hour in range(1, 15)]
    world.service.set_status(pipeline, again, "RERUN")
    world.settle()
    world.conclude(world.take())
    assert world.components(pipeline)["A"][15] == READY


@pytest.mark.parametrize(("said", "runs"), [("5", 5), ("7", 5)])
def test_on_demand_five_runs_at_the_most(world: ServiceInProcess, said: str, runs: int) -> None:
    default: dict[str, Any] = {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"}
    pipeline = world.put([{**default, "maxActiveInstances": said}, shell("A")])
    for _ in range(7):
        world.service.activate(pipeline)
    world.settle()
    assert ready(world, pipeline) == runs


def test_on_demand_the_activities_of_a_run_are_not_limited(world: ServiceInProcess) -> None:
    default: dict[str, Any] = {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"}
    pipeline = world.run([default, *(shell(f"A{n}") for n in range(9))])
    assert list(world.statuses(pipeline).values()) == [READY] * 9
    assert T in next(iter(world.statuses(pipeline)))
