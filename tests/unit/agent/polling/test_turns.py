from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.agent.polling.turns import QUIET_S, Turns

HOLD_S = 85.0
ANSWER_S = 0.01


class World:
    """Agents' turns against a service with queues: everything happens at simulated moments."""

    def __init__(
        self,
        slots: int,
        work: Mapping[str, int],
        weights: Mapping[str, int] | None = None,
        *,
        task_s: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self.turns = Turns(work, weights, slots=slots)
        self.slots, self.task_s = slots, task_s
        self.queues = dict(work)
        self.now = 0.0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.number = count()
        self.began: list[tuple[float, str]] = []
        self.done: Counter[str] = Counter()
        self.running = 0
        self.held: list[str] = []
        self.most_held = 0
        self.polls: dict[str, float] = {}

    def at(self, moment: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.events, (moment, next(self.number), what))

    def add(self, group: str, tasks: int = 1) -> None:
        self.queues[group] += tasks
        if group in self.polls:
            self.at(self.now + ANSWER_S, lambda: self.answer(group, self.polls.get(group)))

    def run(self, until: float) -> World:
        while True:
            for group in self.turns.groups:
                self.poll(group)
            patience = self.turns.patience(self.now)
            due = [self.events[0][0]] if self.events else []
            due += [] if patience is None else [self.now + patience]
            if not due or min(due) > until:
                self.now = until
                return self
            self.now = min(due)
            while self.events and self.events[0][0] <= self.now:
                heapq.heappop(self.events)[2]()

    def poll(self, group: str) -> None:
        if not self.turns.begin(group, self.now):
            return
        since = self.polls[group] = self.now
        soon = ANSWER_S if self.queues[group] else HOLD_S
        self.at(self.now + soon, lambda: self.answer(group, since))

    def answer(self, group: str, poll: float | None) -> None:
        if poll is None or self.polls.get(group) != poll:
            return
        del self.polls[group]
        found = self.queues[group] > 0
        self.turns.came(group, task=found)
        if found:
            self.queues[group] -= 1
            self.held.append(group)
            self.start()

    def start(self) -> None:
        while self.held and self.running < self.slots:
            group = self.held.pop(0)
            self.running += 1
            self.began.append((self.now, group))
            self.at(self.now + self.task_s(), lambda group=group: self.finish(group))  # type: ignore[misc]
        self.most_held = max(self.most_held, len(self.held))

    def finish(self, group: str) -> None:
        self.running -= 1
        self.done[group] += 1
        self.turns.freed()
        self.start()

    def shares(self) -> list[str]:
        return [group for _, group in self.began]


def test_a_group_of_weight_three_gets_three_turns_for_one() -> None:
    for slots in (1, 2, 5, 8):
        world = World(slots, {"a": 10_000, "b": 10_000}, {"a": 3}).run(400)
        shares = Counter(world.shares())
        assert sum(shares.values()) > 350 * slots
        assert shares["a"] == pytest.approx(3 * shares["b"], abs=8)


def test_turns_are_spread_evenly() -> None:
    world = World(1, {"a": 99, "b": 99, "c": 99}, {"a": 2}).run(30)
    assert world.shares()[:8] == ["a", "b", "c", "a", "a", "b", "c", "a"]


def test_an_empty_group_does_not_keep_a_slot_from_a_busy_one() -> None:
    world = World(1, {"idle": 0, "busy": 10_000, "quiet": 0}, {"idle": 100}).run(1000)
    # At first each empty group is given a moment to answer; from then on none costs anything.
    assert world.done["busy"] >= 1000 / (1 + ANSWER_S) - 2 * QUIET_S - 3


def test_a_group_that_was_empty_is_heard_at_once_when_it_has_work() -> None:
    world = World(1, {"a": 0, "b": 0, "c": 0})
    world.run(50)
    assert set(world.polls) == {"a", "b", "c"}
    for group in ("c", "a", "b"):
        asked = world.now
        world.add(group)
        world.run(asked + 5)
        began, whose = world.began[-1]
        assert whose == group
        assert began == pytest.approx(asked + ANSWER_S)


def test_with_a_slot_for_each_all_are_asked_at_once() -> None:
    world = World(3, {"a": 0, "b": 0, "c": 0}).run(0)
    assert set(world.polls) == {"a", "b", "c"}


def test_a_group_that_rests_after_a_failure_is_no_rival() -> None:
    turns = Turns(["a", "b"], {"a": 100}, slots=1)
    assert turns.begin("a", 0)
    turns.broke_off("a", 0, rest=True)
    assert not turns.begin("a", 0)
    assert turns.begin("b", 0)
    turns.came("b", task=True)
    turns.rested("a")
    turns.freed()
    assert turns.begin("a", 1)


def test_weights_can_change_while_it_runs() -> None:
    world = World(1, {"a": 9999, "b": 9999}).run(100)
    world.turns.weigh({"b": 4})
    world.began.clear()
    world.run(300)
    shares = Counter(world.shares())
    assert shares["b"] == pytest.approx(4 * shares["a"], abs=5)


def test_while_every_slot_has_a_task_nobody_polls() -> None:
    turns = Turns(["a", "b"], slots=2)
    for group in ("a", "b"):
        assert turns.begin(group, 0)
        turns.came(group, task=True)
    assert not turns.begin("a", 1)
    assert turns.patience(1) is None


@settings(max_examples=30)
@given(
    slots=st.integers(1, 6),
    groups=st.integers(1, 6),
    seed=st.integers(0, 2**32),
)
def test_never_too_many_run_and_nobody_starves(slots: int, groups: int, seed: int) -> None:
    random = Random(seed)
    names = [f"g{n}" for n in range(groups)]
    weights = {name: random.randint(1, 20) for name in names}
    world = World(slots, dict.fromkeys(names, 0), weights, task_s=lambda: random.expovariate(1 / 3))
    for name in names:
        for _ in range(40):
            # Most of the time there is more than can be done.
            moment = random.uniform(0, 60)
            world.at(moment, lambda name=name: world.add(name))  # type: ignore[misc]
    free = []
    while world.done.total() < 40 * groups:
        world.run(world.now + 5)
        free.append(world.turns.free)
        assert world.running <= slots
        assert world.turns.free == slots - world.running - len(world.held)
        assert world.now < 3600, (world.queues, world.polls)
    # What comes beyond the slots is at most what groups that were quiet are given at one moment.
    assert world.most_held < groups
