"""Each invariant's test can fail: with its defence off, the checker finds the violation.

Each scenario also runs with all defences on, where it must find nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.checker import Violation
from tests.chaos.hosts import pause_for
from tests.chaos.proxy import Fault, Kind, Rule
from tests.chaos.runner import Runner
from tests.chaos.scale import Chaos
from tests.chaos.storm import Plan, Storm, storm

Scenario = Callable[[Storm], list[Violation]]
_BY_HAND = Plan(hosts=0, ack_s=1, lease_s=1)


def late_verdict(world: Storm) -> list[Violation]:
    """A runner is silent for longer than its lease, and tells its verdict after another's."""
    world.add_tasks(1)
    slow, quick = Runner(world, "slow"), Runner(world, "quick")
    first = slow.poll()
    assert slow.acknowledge(first)
    slow.work(first)
    second = quick.poll()  # comes when the lease is over
    assert quick.acknowledge(second)
    quick.work(second)
    assert quick.conclude(second) == "taken"
    assert world.finish()
    answer = slow.conclude(first)
    found = (
        []
        if answer == "TaskNotFoundException"
        else [Violation(invariant="A3", text=f"it was {answer}")]
    )
    return [*world.violations(), *found]


def second_verdict(world: Storm) -> list[Violation]:
    """A verdict is told again, and then another one of the same task."""
    world.add_tasks(1)
    runner = Runner(world, "runner")
    task = runner.poll()
    assert runner.acknowledge(task)
    runner.work(task)
    answers = [runner.conclude(task), runner.conclude(task), runner.conclude(task, "FAILED")]
    assert world.finish()
    wanted = ["taken", "taken", "InvalidRequestException"]
    found = [] if answers == wanted else [Violation(invariant="A4", text=f"answers {answers}")]
    return [*world.violations(), *found]


def lost_task(world: Storm) -> list[Violation]:
    """A task is given to a runner that never hears of it."""
    world.proxy.rules(
        Rule(fault=Fault(kind=Kind.DROP_REPLY), operations=frozenset({"PollForTask"}), times=1)
    )
    world.add_tasks(1)
    world.hosts[0].start()
    ended = world.finish(within_s=60 if world.plan.service_mutant is None else 5)
    assert world.proxy.count(Kind.DROP_REPLY) == 1
    found = (
        [] if ended else [Violation(invariant="A5", text="a lost hand-out was never made again")]
    )
    return [*world.violations(), *found]


def three_tasks(world: Storm) -> list[Violation]:
    """An agent runs tasks, and nothing befalls it."""
    world.add_tasks(3, "1")
    world.hosts[0].start()
    assert world.finish()
    return world.violations()


def service_away(world: Storm) -> list[Violation]:
    """When the task is done, the service takes no verdict for a while."""
    world.proxy.rules(
        Rule(fault=Fault(kind=Kind.UNAVAILABLE), operations=frozenset({"SetTaskStatus"}), times=5)
    )
    world.add_tasks(1)
    world.hosts[0].start()
    assert world.finish()
    assert world.proxy.count(Kind.UNAVAILABLE) == 5
    return world.violations(single=True)


def orphaned_task(world: Storm) -> list[Violation]:
    """An agent is killed alone while its task runs, and not started again for long."""
    world.add_tasks(1, "8")
    host = world.hosts[0]
    host.start()
    assert world.wait_until("the task", world.effects_file.exists, 60)
    world.killed[host.life] = world.history.now()
    host.kill_agent()
    pause_for(10)
    assert world.finish()
    return world.violations()


#: Scenario, defence that is off, whose it is, measures, the promise that breaks, in the short form.
_CASES: dict[str, tuple[Scenario, str, Plan, str, bool]] = {
    "fence-off": (late_verdict, "service", _BY_HAND, "A3", True),
    "compare-and-set-off": (second_verdict, "service", _BY_HAND, "A4", True),
    "silence-ignored": (lost_task, "service", Plan(hosts=1, ack_s=1), "A5", True),
    "verdict-before-effect": (three_tasks, "agent", Plan(hosts=1), "A2", True),
    "outputs-in-place": (three_tasks, "agent", Plan(hosts=1), "OUTPUT", False),
    "outbox-gives-up": (service_away, "agent", Plan(hosts=1, lease_s=12), "A4", False),
    "orphans-live": (orphaned_task, "agent", Plan(hosts=1), "A7", False),
}


@pytest.mark.parametrize("mutant", _CASES)
def test_a_missing_defence_is_found(chaos: Chaos, tmp_path: Path, mutant: str) -> None:
    scenario, whose, plan, invariant, short = _CASES[mutant]
    if not (short or chaos.full):
        pytest.skip("slow: in the full form only (make chaos)")
    if whose == "agent":
        plan = replace(plan, agent_mutant=mutant)
    else:
        plan = replace(plan, service_mutant=mutant)
    with storm(tmp_path, chaos.random, plan) as world:
        found = scenario(world)
    assert invariant in {violation.invariant for violation in found}, found
    text = next(violation.text for violation in found if violation.invariant == invariant)
    chaos.found(invariant, f"with {mutant}, as it must be: {text}")


@pytest.mark.parametrize("mutant", _CASES)
def test_nothing_is_found_with_every_defence_on(chaos: Chaos, tmp_path: Path, mutant: str) -> None:
    scenario, _, plan, _, _ = _CASES[mutant]
    if not (plan.hosts == 0 or chaos.full):
        pytest.skip("slow, and part of every storm: in the full form only (make chaos)")
    with storm(tmp_path, chaos.random, plan) as world:
        assert scenario(world) == []
