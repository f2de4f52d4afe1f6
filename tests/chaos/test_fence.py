"""A3: hosts that were paused for longer than their lease come back, and change nothing."""

from __future__ import annotations

from pathlib import Path

from taskrunner.clock import SystemClock
from tests.chaos.checker import overlaps
from tests.chaos.hosts import Host, pause_for
from tests.chaos.scale import Chaos
from tests.chaos.storm import Plan, Storm, storm

_BATCH = 10
_CLOCK = SystemClock()


class Pauses:
    """Hosts that are stopped for a while, all but one at the most."""

    def __init__(self, world: Storm) -> None:
        self._world = world
        self._until: dict[Host, float] = {}

    def stop_one(self, *, any_host: bool = False) -> bool:
        """Stop a host that has work, if there is one: with its tasks, or the agent alone."""
        world = self._world
        hosts = [host for host in world.hosts if host not in self._until and host.alive]
        busy = [host for host in hosts if any_host or host.busy]
        if len(hosts) < 2 or not busy:
            return False
        host = world.chance.choice(busy)
        world.pause(host, agent_only=world.chance.random() < 0.4)
        seconds = world.chance.uniform(0.5, 2.5) * world.plan.lease_s
        self._until[host] = _CLOCK.monotonic() + seconds
        return True

    def resume_due(self, *, all_: bool = False) -> None:
        """Let those go on whose time is over."""
        for host, until in list(self._until.items()):
            if all_ or _CLOCK.monotonic() >= until:
                del self._until[host]
                host.resume()


def pause_all_the_time(world: Storm, *, stops: int, tasks: int) -> None:
    """Stop holders of tasks, which are spared otherwise, while there is work."""
    pauses = Pauses(world)
    world.start_hosts()
    stopped = 0
    while stopped < stops:
        # Work runs out before the stops do? Then there is more of it, for as long as that lasts.
        short_of_work = world.expected - world.done() < len(world.hosts)
        if world.expected * stops <= stopped * tasks or short_of_work:
            world.add_tasks(_BATCH, "$((RANDOM % 2)).$((RANDOM % 10))")
        stopped += pauses.stop_one()
        pauses.resume_due()
        pause_for(world.chance.uniform(0, 0.2))
    pauses.resume_due(all_=True)


def test_a_late_report_is_refused_and_changes_nothing(chaos: Chaos, tmp_path: Path) -> None:
    stops, tasks = chaos.trials(8, 300), chaos.trials(10, 150)
    plan = Plan(hosts=chaos.trials(4, 8), lease_s=2, progress_s=0.4)
    for number in range(chaos.trials(1, 5)):
        with storm(tmp_path / str(number), chaos.random, plan) as world:
            pause_all_the_time(world, stops=stops, tasks=tasks)
            ended = world.finish()
            found = world.violations()
            evidence = world.evidence()
        late = sum(c.error == "TaskNotFoundException" for c in world.calls)
        chaos.found(
            "A3",
            f"{world.history.counts['stop']} stops over {evidence.expected} tasks: "
            f"{world.refusals()} refusals, {late} of them of verdicts, "
            f"{overlaps(evidence)} attempts overtaken, {len(found)} violations",
        )
        assert ended, world.history.path
        assert not found, (world.history.path, [str(violation) for violation in found[:10]])
        assert world.history.counts["stop"] == stops
        assert world.refusals() >= chaos.trials(1, 50)
