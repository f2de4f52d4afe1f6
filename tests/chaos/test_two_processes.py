"""Two processes of the service on one PostgreSQL, one of them killed every few seconds.

Each has agents of its own, which know no other. The agents live, and nothing but processes of the
service dies: so every task must be run and finished exactly once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.chaos.checker import Violation
from tests.chaos.forked_service import ForkedService
from tests.chaos.hosts import Host, pause_for
from tests.chaos.proxy import FaultProxy, fault_proxy
from tests.chaos.scale import Chaos, is_full
from tests.chaos.storm import Plan, Service, Storm, agent_options, storm

pytestmark = [
    pytest.mark.xdist_group("alone"),
    pytest.mark.external_service,
    pytest.mark.skipif(
        not is_full(), reason="dear; short are test_contention.py and test_two_services.py"
    ),
]

_BATCH = 50
#: Longer than any process of the service is away, on a busy machine too: no agent loses its tasks.
_PLAN = Plan(hosts=1, slots=4, ack_s=4, lease_s=600)


@dataclass
class Pair:
    """A storm with a second process of the service."""

    world: Storm
    service: Service
    proxy: FaultProxy

    def kill(self, which: int) -> None:
        """Kill -9 one of the two, and start it again."""
        if which == 0:
            self.world.kill_service()
        else:
            self.service.kill()
            self.service.start()
            self.proxy.upstream = self.service.url


@contextmanager
def pair(chaos: Chaos, folder: Path, plan: Plan) -> Iterator[Pair]:
    """Two processes, each with as many hosts as the plan has."""
    with storm(folder, chaos.random, plan) as world:
        other = folder / "second"
        other.mkdir()
        service = ForkedService(other, plan, world.history)
        try:
            service.start()
            with fault_proxy(service.url, on_call=world.take) as proxy:
                options = agent_options(world, proxy.url)
                for number in range(plan.hosts):
                    host = Host(f"s{number}", folder, options, world.history, plan.agent_mutant)
                    world.hosts.append(host)
                yield Pair(world, service, proxy)
                # Before the way to it is gone.
                world.end_hosts()
        finally:
            service.stop()


def kill_until_done(both: Pair, *, pace_s: float) -> int:
    """Kill one of the two, then the other, until all work is done; how often."""
    world, kills = both.world, 0
    while world.done() < world.expected:
        pause_for(world.chance.uniform(0.5, 1.5) * pace_s)
        both.kill(kills % 2)
        kills += 1
        world.revive()
    return kills


def test_every_task_ends_once_however_often_one_of_two_processes_dies(
    chaos: Chaos, tmp_path: Path, postgresql_database: str
) -> None:
    tasks = 500
    plan = replace(_PLAN, database_url=postgresql_database, hosts=2)
    with pair(chaos, tmp_path, plan) as both:
        world = both.world
        for _ in range(tasks // _BATCH):
            world.add_tasks(_BATCH, "$((RANDOM % 2)).$((RANDOM % 10))")
        world.start_hosts()
        assert world.wait_until("a task", world.effects_file.exists, 60)
        kills = kill_until_done(both, pace_s=3)
        assert world.finish()
        found = world.violations(single=True)
        statuses = list(world.evidence().statuses.values())
    assert not found, (world.history.path, [str(violation) for violation in found[:10]])
    assert statuses.count("FINISHED") == tasks
    chaos.found(
        "two processes", f"PostgreSQL: {kills} kills over {tasks} tasks, all FINISHED, none twice"
    )


def verdict_then_kill(both: Pair) -> list[Violation]:
    """A process is killed right after it has answered a verdict."""
    world = both.world

    def answered() -> bool:
        calls = list(world.calls)
        return any(c.operation == "SetTaskStatus" and c.status == 200 for c in calls)

    world.add_tasks(1)
    world.hosts[0].start()
    assert world.wait_until("a verdict", answered, 60)
    both.kill(0)
    assert world.finish(300)
    return world.violations(single=True)


def test_a_process_that_answers_before_its_commit_is_found(
    chaos: Chaos, tmp_path: Path, postgresql_database: str
) -> None:
    # The lease is longer than the mutant takes to store a verdict: only a lost one has the task run
    # again, and that comes to its end.
    plan = replace(
        _PLAN, database_url=postgresql_database, lease_s=60, service_mutant="answered-first"
    )
    with pair(chaos, tmp_path, plan) as both:
        found = verdict_then_kill(both)
    texts = [violation.text for violation in found if violation.invariant == "A4"]
    assert any("was run 2 times" in text for text in texts), found
    chaos.found("two processes", f"with answered-first, as it must be: {texts[0]}")
