"""L1: everything goes wrong for a while; when that is over, all work finishes."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from taskrunner.clock import SystemClock
from tests.chaos.hosts import pause_for
from tests.chaos.proxy import Fault, Kind, Rule
from tests.chaos.scale import Chaos
from tests.chaos.storm import RUNNER_CALLS, Plan, Storm, storm
from tests.chaos.test_fence import Pauses

_CLOCK = SystemClock()
_POLLS = frozenset({"PollForTask"})
#: The longest wait between two polls of an agent that gets no answer, and a poll's own deadline.
_BACKOFF_CAP_S = 60.0
_POLL_DEADLINE_S = 100.0
_SLACK_S = 30.0
_MOUNT_OPTIONS = b"size=6m,mode=0755"
_MNT_DETACH = 2


@contextmanager
def small_disk(path: Path) -> Iterator[bool]:
    """A disk of 6 MB at `path` for as long as the block lasts; false: not without being root."""
    libc = ctypes.CDLL(None, use_errno=True)
    where = os.fsencode(path)
    mounted = os.geteuid() == 0 and not libc.mount(b"tmpfs", where, b"tmpfs", 0, _MOUNT_OPTIONS)
    try:
        yield mounted
    finally:
        if mounted:
            libc.umount2(where, _MNT_DETACH)


class Weather:
    """Faults of all kinds, of which any may strike at any moment."""

    def __init__(self, world: Storm, *, disk: bool, blackholed_polls: bool) -> None:
        self._world = world
        self._pauses = Pauses(world)
        self._disk = disk
        self._blackholed_polls = blackholed_polls
        self._ballast = world.hosts[0].disk / "ballast"
        #: Drawn like cards, so that each has its turn; those here twice come twice as often.
        self._faults: tuple[Callable[[], object], ...] = (
            *(self._world.kill_one,) * 3,
            self._world.kill_service,
            *(self._stop,) * 2,
            *(self._trouble_on_the_line,) * 2,
            self._fill_the_disk,
            self._empty_the_disk,
        )
        self._deck: list[Callable[[], object]] = []

    def strike(self) -> None:
        """One more fault, and an end of some older ones."""
        self._pauses.resume_due()
        if not self._deck:
            self._deck = self._world.chance.sample(self._faults, len(self._faults))
        self._deck.pop()()

    @property
    def all_has_struck(self) -> bool:
        """Whether none of this was in vain."""
        counts = self._world.history.counts
        events = ["kill", "stop", "service killed", *["disk full"] * self._disk]
        return all(counts[event] for event in events) and bool(self._world.proxy.fired)

    def clear_up(self) -> None:
        """No fault is left."""
        self._world.proxy.rules()
        self._pauses.resume_due(all_=True)
        self._empty_the_disk()

    def _stop(self) -> None:
        self._pauses.stop_one(any_host=True)

    def _trouble_on_the_line(self) -> None:
        chance = self._world.chance
        kinds = [*Kind] if self._blackholed_polls else [k for k in Kind if k is not Kind.BLACKHOLE]
        faults = [
            Fault(kind=kind, seconds=chance.uniform(0.01, 0.5), size=chance.randrange(1, 200))
            for kind in chance.sample(kinds, 3)
        ]
        rules = [Rule(fault=fault, operations=RUNNER_CALLS, share=0.1) for fault in faults]
        held = Rule(fault=Fault(kind=Kind.BLACKHOLE), operations=RUNNER_CALLS - _POLLS, share=0.03)
        self._world.proxy.rules(held, *rules)

    def _fill_the_disk(self) -> None:
        if self._disk and not self._ballast.exists():
            self._world.history.add("disk full")
            with suppress(OSError), self._ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1 << 16))

    def _empty_the_disk(self) -> None:
        if self._ballast.exists():
            self._world.history.add("disk free")
            self._ballast.unlink()


def _lose_a_hand_out(world: Storm) -> None:
    """The first task is given to an agent that never hears of it."""
    world.proxy.rules(Rule(fault=Fault(kind=Kind.DROP_REPLY), operations=_POLLS, times=1))
    world.add_tasks(10)
    world.start_hosts()
    assert world.wait_until("the fault", lambda: world.proxy.count(Kind.DROP_REPLY), _SLACK_S)


def _endure(world: Storm, weather: Weather, seconds: int) -> int:
    """So many seconds of faults under work, at least; returns how many tasks are left then."""
    _lose_a_hand_out(world)
    until = _CLOCK.monotonic() + seconds
    while _CLOCK.monotonic() < until or not weather.all_has_struck:
        if world.expected - world.done() < 12:
            world.add_tasks(10, "0.$((RANDOM % 10))")
        weather.strike()
        pause_for(world.chance.uniform(0.1, 0.5))
        world.revive()
    weather.clear_up()
    return world.expected - world.done()


def test_when_the_faults_are_over_all_work_finishes(chaos: Chaos, tmp_path: Path) -> None:
    seconds = chaos.trials(8, 600)
    plan = Plan(hosts=chaos.trials(4, 6))
    bound_s = plan.lease_s + _BACKOFF_CAP_S + _SLACK_S
    with storm(tmp_path, chaos.random, plan) as world, small_disk(world.hosts[0].disk) as disk:
        weather = Weather(world, disk=disk, blackholed_polls=chaos.full)
        left, healed = _endure(world, weather, seconds), _CLOCK.monotonic()
        ended = world.finish(2 * (bound_s + _POLL_DEADLINE_S))
        took = _CLOCK.monotonic() - healed
        found = world.violations()
    counts = world.history.counts
    struck = {kind.value: world.proxy.count(kind) for kind in Kind}
    chaos.found(
        "L1",
        f"{seconds} s of {counts['kill']} kills, {counts['stop']} stops, "
        f"{counts['service killed']} service kills, {counts['disk full']} full disks, {struck}: "
        f"{left} of {world.expected} tasks left when it was over, done {took:.1f} s later "
        f"(bound {bound_s:.0f} s; {bound_s + _POLL_DEADLINE_S:.0f} s where polls hang), "
        f"{len(found)} violations",
    )
    assert ended, world.history.path
    assert not found, (world.history.path, [str(violation) for violation in found[:10]])
    assert weather.all_has_struck


def test_a_service_that_waits_for_ever_leaves_work_undone(chaos: Chaos, tmp_path: Path) -> None:
    plan = Plan(hosts=4, service_mutant="silence-ignored")
    bound_s = chaos.trials(10, round(plan.lease_s + _BACKOFF_CAP_S + _SLACK_S))
    with storm(tmp_path, chaos.random, plan) as world:
        weather = Weather(world, disk=False, blackholed_polls=False)
        _endure(world, weather, seconds=1)
        ended = world.finish(bound_s)
        left = world.expected - world.done()
    assert not ended
    chaos.found(
        "L1",
        f"with silence-ignored, as it must be: {left} of {world.expected} tasks are left "
        f"{bound_s} s after the faults are over",
    )
