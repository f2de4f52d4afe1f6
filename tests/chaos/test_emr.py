"""Clusters are exactly those that should be there, wherever the service is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from taskrunner.service.resources.targets import Where
from taskrunner.testing.emr import EmrInProcess
from tests.chaos.launches import Trap, World, launch_and_give_up, outlive
from tests.chaos.lives import Dead
from tests.chaos.scale import Chaos
from tests.integration.agent_harness import wait_for


@pytest.fixture
def trap() -> Trap:
    return Trap()


@pytest.fixture
def emr(trap: Trap, tmp_path: Path) -> Iterator[EmrInProcess]:
    with EmrInProcess(s3_root=tmp_path / "s3", called=trap.called) as server:
        yield server


def test_kills_at_any_point_leave_exactly_the_clusters_that_should_be_there(
    chaos: Chaos, tmp_path: Path, emr: EmrInProcess, trap: Trap
) -> None:
    world, launches = World(tmp_path, emr, trap, where=Where.EMR), chaos.trials(3, 100)
    launch_and_give_up(world, chaos, launches)
    chaos.found(
        "E3",
        f"{world.kills} kills of the service, {trap.sprung} at calls, over {launches} launches, "
        f"{len(emr.clusters)} clusters made, {len(emr.running)} left as wanted",
    )
    assert world.kills >= launches
    assert world.faults() == []


def test_no_cluster_is_left_after_terminate_after(
    chaos: Chaos, tmp_path: Path, emr: EmrInProcess, trap: Trap
) -> None:
    world, launches = World(tmp_path, emr, trap, where=Where.EMR), chaos.trials(1, 20)
    outlive(world, chaos, launches)
    chaos.found("E4", f"{world.kills} kills over {launches} launches, none left in the end")
    assert world.faults() == []


@pytest.mark.parametrize("without", ["name", "sweep"])
def test_it_is_the_name_and_the_sweep_that_do_it(
    tmp_path: Path, emr: EmrInProcess, trap: Trap, without: str
) -> None:
    world = World(tmp_path, emr, trap, without, Where.EMR)
    # A cluster is made, and the reply never arrives.
    with world.life(calls=1, when="after") as life, suppress(Dead):
        life.ask("begin", "p", world.kind, "1 day")
        wait_for("its end", lambda: trap.sprung == 1)
    (pipeline,) = world.made()
    if without == "name":
        world.wanted.add(pipeline)
    else:
        with world.life(idle=True) as life:
            life.ask("cancel", pipeline)
        world.given_up.add(pipeline)
    with world.life() as life:
        wait_for("its end", lambda: world.settled(life))
    assert world.faults() != []
