from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from random import Random

from taskrunner.agent.polling.gate import Gate
from taskrunner.agent.polling.poller import Poller
from taskrunner.agent.polling.turns import Turns
from taskrunner.errors import CallGivenUp, CallRefused, NotAuthorized, ServiceUnreachable
from taskrunner.model.task import Task
from tests.unit.agent.fakes import FakeApi, FakeClock, make_task


class Desk:
    def __init__(self, *groups: str, slots: int = 1) -> None:
        self.api, self.clock, self.stopping = FakeApi(), FakeClock(), threading.Event()
        self.gate = Gate(self.clock)
        self.ran: list[Task] = []
        self.poller = Poller(
            self.api,
            Turns(groups or ("wg",), slots=slots),
            hostname="host",
            run=self.ran.append,
            stopping=self.stopping,
            clock=self.clock,
            gate=self.gate,
            random=Random(1),
        )

    def ask(self, group: str = "wg") -> None:
        self.poller.ask(group)

    def serve(self) -> None:
        self.poller.serve()

    def polls(self) -> int:
        return len(self.api.named("poll"))

    def meanwhile(self, what: Callable[[], object]) -> None:
        """Have something happen while the next poll is held."""
        poll = self.api.poll_for_task

        def slow(*, worker_group: str, hostname: str) -> Task | None:
            what()
            return poll(worker_group=worker_group, hostname=hostname)

        self.api.poll_for_task = slow  # type: ignore[method-assign]


def test_a_task_that_came_is_run_by_a_slot() -> None:
    desk = Desk()
    task = make_task()
    desk.api.polls = [None, task]
    desk.ask()
    desk.ask()
    assert desk.ran == []
    desk.serve()
    assert desk.ran == [replace(task, worker_group="wg")]


def test_a_group_is_polled_on_while_its_task_runs_if_there_is_a_slot() -> None:
    desk = Desk(slots=2)
    desk.api.polls = [make_task()]
    seen: list[int] = []

    def run(_task: Task) -> None:
        desk.ask()
        seen.append(desk.polls())

    desk.poller._run = run
    desk.ask()
    desk.serve()
    assert seen == [2]


def test_without_a_free_slot_nobody_polls_until_one_is_free() -> None:
    desk = Desk("a", "b")
    desk.api.polls = [make_task()]
    desk.ask("a")
    desk.clock.meanwhile = desk.serve  # it is run while the other group waits for its turn
    desk.ask("b")
    assert len(desk.ran) == 1
    assert desk.api.named("poll") == ["a", "b"]


def test_failures_are_spaced_out_and_recovery_starts_afresh() -> None:
    desk = Desk()
    failures: list[Task | Exception | None] = [ServiceUnreachable("refused") for _ in range(10)]
    desk.api.polls = [*failures, None, CallRefused("what", code="ValidationException")]
    for _ in range(12):
        desk.ask()
    waits = desk.clock.waits
    assert len(waits) == 11
    assert all(earlier < later * 2 for earlier, later in pairwise(waits[:10]))
    assert 30 <= waits[9] <= 60
    assert waits[10] <= 1


def test_without_permission_it_polls_no_more() -> None:
    desk = Desk()
    desk.meanwhile(desk.stopping.set)
    desk.api.polls = [NotAuthorized("no", code="AccessDeniedException")]
    desk.ask()
    desk.ask()
    assert desk.polls() == 1


def test_a_task_that_arrives_in_a_drain_or_a_pause_is_left_to_others() -> None:
    for end in (lambda desk: desk.stopping.set(), lambda desk: desk.gate.shut("me", "why")):
        desk = Desk()
        desk.api.polls = [make_task()]
        desk.meanwhile(partial(end, desk))
        desk.ask()
        desk.serve()
        assert desk.polls() == 1
        assert desk.ran == []
        assert desk.api.named("progress") == []


def test_a_task_that_waited_too_long_for_a_slot_is_left_to_others() -> None:
    for seconds, ran in ((59, 1), (61, 0)):
        desk = Desk()
        desk.api.polls = [make_task()]
        desk.ask()
        desk.clock.elapsed += seconds
        desk.serve()
        assert len(desk.ran) == ran
        desk.ask()  # the slot is free again, either way
        assert desk.polls() == 2


def test_a_paused_group_polls_when_the_gate_opens_and_not_when_the_agent_stops() -> None:
    for stop, polls in ((False, 1), (True, 0)):
        desk = Desk()
        desk.gate.shut("me", "why")
        asking = threading.Thread(target=desk.ask)
        asking.start()
        assert desk.polls() == 0
        assert not desk.poller.stuck()
        if stop:
            desk.stopping.set()
            desk.poller.release()
        else:
            desk.gate.open("me")
        asking.join(10)
        assert not asking.is_alive()
        assert desk.polls() == polls


def test_slots_without_a_task_are_released_by_a_drain() -> None:
    desk = Desk()
    serving = threading.Thread(target=desk.serve)
    serving.start()
    desk.stopping.set()
    desk.poller.release()
    serving.join(10)
    assert not serving.is_alive()


def test_polls_that_are_held_are_given_up_by_a_drain() -> None:
    desk = Desk("a", "b", slots=2)
    desk.meanwhile(desk.poller.release)
    desk.api.polls = [CallGivenUp("given up")]
    desk.ask("a")
    assert desk.api.named("give up") == ["a"]
    assert desk.clock.waits == []  # which is no failure


def test_a_poll_that_began_as_the_drain_did_is_given_up_a_little_later() -> None:
    desk = Desk()

    def while_held() -> None:
        desk.stopping.set()
        desk.poller.look()
        desk.clock.elapsed += 1
        desk.poller.look()

    desk.meanwhile(while_held)
    desk.ask()
    assert desk.api.named("give up") == ["wg"]


def test_polls_whose_task_could_not_be_taken_are_given_up_after_a_moment() -> None:
    desk = Desk("a", "b", slots=2)
    given_up: list[list[object]] = []

    def look(after_s: float) -> None:
        desk.clock.elapsed += after_s
        desk.poller.look()
        given_up.append(list(desk.api.named("give up")))

    def while_held() -> None:
        look(100)  # there are slots
        desk.gate.shut("me", "why")
        look(0.1)
        desk.gate.open("me")
        look(5)
        desk.gate.shut("me", "why")
        look(0.1)
        look(0.5)
        look(0.5)

    desk.meanwhile(while_held)
    desk.ask("a")
    assert given_up == [[], [], [], [], [], ["a"]]


def test_a_full_agent_gives_up_what_other_groups_still_ask_for() -> None:
    desk = Desk("a", "b", slots=2)
    desk.api.polls = [make_task(), make_task()]
    desk.ask("a")
    desk.ask("a")

    def while_held() -> None:
        desk.poller.look()
        desk.clock.elapsed += 1
        desk.poller.look()

    desk.serve()  # for a moment there is a slot, and the other group asks
    desk.api.polls = [make_task()]

    def fill() -> None:
        desk.poller._came("a", make_task())
        while_held()

    desk.meanwhile(fill)
    desk.ask("b")
    assert desk.api.named("give up") == ["b"]


def test_only_a_poll_past_its_deadline_is_stuck() -> None:
    desk = Desk()
    asked: list[bool] = []

    def during_poll(**_: object) -> None:
        desk.clock.elapsed += 100
        asked.append(desk.poller.stuck())
        desk.clock.elapsed += 100
        asked.append(desk.poller.stuck())

    desk.api.poll_for_task = during_poll  # type: ignore[method-assign]
    desk.ask()
    assert asked == [False, True]
    desk.clock.elapsed += 1000
    assert not desk.poller.stuck()
