"""Each invariant's test can fail: with its defence off, the checker finds the violation.

Each scenario also runs with all defences on, where it must find nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
    assert world.wait_until("the fault", lambda: world.proxy.count(Kind.DROP_REPLY), 60)
    ended = world.finish(within_s=60 if world.plan.service_mutant is None else 5)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A defence that is off, and what must come of it."""

    scenario: Scenario
    service: str | None = None
    agent: str | None = None
    plan: Plan
    #: The promise that breaks, and how: a crash would be no proof.
    invariant: str
    words: str
    #: Whether it is quick enough for every run of the tests.
    short: bool = False


_CASES: dict[str, Case] = {
    "fence-off": Case(
        scenario=late_verdict,
        service="fence-off",
        plan=_BY_HAND,
        invariant="A3",
        words="was finished 2 times",
        short=True,
    ),
    "compare-and-set-off": Case(
        scenario=second_verdict,
        service="compare-and-set-off",
        plan=_BY_HAND,
        invariant="A3",
        words="came to 2 ends: ['FINISHED', 'FAILED']",
        short=True,
    ),
    "silence-ignored": Case(
        scenario=lost_task,
        service="silence-ignored",
        plan=Plan(hosts=1, ack_s=1),
        invariant="A5",
        words="never made again",
        short=True,
    ),
    "verdict-before-effect": Case(
        scenario=three_tasks,
        agent="verdict-before-effect",
        plan=Plan(hosts=1, lease_s=30),
        invariant="A2",
        words="is FINISHED without its effect",
    ),
    "outputs-in-place": Case(
        scenario=three_tasks,
        agent="outputs-in-place",
        plan=Plan(hosts=1, lease_s=30),
        invariant="OUTPUT",
        words="was seen half-written",
    ),
    "outbox-gives-up": Case(
        scenario=service_away,
        agent="outbox-gives-up",
        plan=Plan(hosts=1, lease_s=12),
        invariant="A4",
        words="was run 2 times",
    ),
    "orphans-live": Case(
        scenario=orphaned_task,
        agent="orphans-live",
        plan=Plan(hosts=1),
        invariant="A7",
        words="after its agent was killed",
    ),
}


@pytest.mark.parametrize("mutant", _CASES)
def test_a_missing_defence_is_found(chaos: Chaos, tmp_path: Path, mutant: str) -> None:
    case = _CASES[mutant]
    if not (case.short or chaos.full):
        pytest.skip("slow: in the full form only (make chaos)")
    plan = replace(case.plan, service_mutant=case.service, agent_mutant=case.agent)
    with storm(tmp_path, chaos.random, plan) as world:
        found = case.scenario(world)
    texts = [violation.text for violation in found if violation.invariant == case.invariant]
    proof = next((text for text in texts if case.words in text), None)
    assert proof is not None, found
    chaos.found(case.invariant, f"with {mutant}, as it must be: {proof}")


@pytest.mark.parametrize("mutant", _CASES)
def test_nothing_is_found_with_every_defence_on(chaos: Chaos, tmp_path: Path, mutant: str) -> None:
    case = _CASES[mutant]
    if not (case.plan.hosts == 0 or chaos.full):
        pytest.skip("slow, and part of every storm: in the full form only (make chaos)")
    with storm(tmp_path, chaos.random, case.plan) as world:
        assert case.scenario(world) == []
