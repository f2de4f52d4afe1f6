"""Instances are exactly those that should be there, wherever the service is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from taskrunner.testing.ec2 import Ec2Server
from tests.chaos.launches import Trap, World, launch_and_give_up, outlive
from tests.chaos.lives import Dead
from tests.chaos.scale import Chaos
from tests.integration.agent_harness import wait_for


@pytest.fixture
def trap() -> Trap:
    return Trap()


@pytest.fixture
def aws(trap: Trap) -> Iterator[Ec2Server]:
    with Ec2Server(called=trap.called) as server:
        yield server


def test_kills_at_any_point_leave_exactly_the_instances_that_should_be_there(
    chaos: Chaos, tmp_path: Path, aws: Ec2Server, trap: Trap
) -> None:
    world, launches = World(tmp_path, aws, trap), chaos.trials(3, 100)
    launch_and_give_up(world, chaos, launches)
    chaos.found(
        "E1",
        f"{world.kills} kills of the service, {trap.sprung} at calls, over {launches} launches, "
        f"{len(aws.machines)} instances made, {len(aws.running)} left as wanted",
    )
    assert world.kills >= launches
    assert world.faults() == []


def test_none_is_left_after_terminate_after(
    chaos: Chaos, tmp_path: Path, aws: Ec2Server, trap: Trap
) -> None:
    world, launches = World(tmp_path, aws, trap), chaos.trials(1, 20)
    outlive(world, chaos, launches)
    chaos.found("E2", f"{world.kills} kills over {launches} launches, none left in the end")
    assert world.faults() == []


@pytest.mark.parametrize("without", ["token", "sweep"])
def test_it_is_the_token_and_the_sweep_that_do_it(
    tmp_path: Path, aws: Ec2Server, trap: Trap, without: str
) -> None:
    world = World(tmp_path, aws, trap, without)
    # An instance is made, and the reply never arrives.
    with world.life(calls=1, when="after") as life, suppress(Dead):
        life.ask("begin", "p", world.kind, "1 day")
        wait_for("its end", lambda: trap.sprung == 1)
    (pipeline,) = world.made()
    if without == "token":
        world.wanted.add(pipeline)
    else:
        with world.life(idle=True) as life:
            life.ask("cancel", pipeline)
        world.given_up.add(pipeline)
    with world.life() as life:
        wait_for("its end", lambda: world.settled(life))
    assert world.faults() != []
