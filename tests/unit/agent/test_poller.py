from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from random import Random

from taskrunner.agent.gate import Gate
from taskrunner.agent.poller import Poller
from taskrunner.errors import CallRefused, NotAuthorized, ServiceUnreachable
from taskrunner.model.task import Task
from taskrunner.wire.api import InstanceIdentity
from tests.unit.agent.fakes import FakeApi, FakeClock, make_task


class Desk:
    def __init__(self, *groups: str) -> None:
        self.api, self.clock, self.stopping = FakeApi(), FakeClock(), threading.Event()
        self.gate = Gate(self.clock)
        self.ran: list[Task] = []
        self.poller = Poller(
            self.api,
            groups or ("wg",),
            hostname="host",
            run=self.ran.append,
            stopping=self.stopping,
            clock=self.clock,
            gate=self.gate,
            random=Random(1),
        )

    def meanwhile(self, what: Callable[[], object]) -> None:
        """Have something happen while the next poll is held."""
        poll = self.api.poll_for_task

        def slow(
            *, worker_group: str, hostname: str, identity: InstanceIdentity | None = None
        ) -> Task | None:
            what()
            return poll(worker_group=worker_group, hostname=hostname, identity=identity)

        self.api.poll_for_task = slow  # type: ignore[method-assign]


def test_a_task_is_run_by_the_slot_that_polled_it() -> None:
    desk = Desk()
    task = make_task()
    desk.api.polls = [None, task]
    desk.poller.tick()
    assert desk.ran == []
    desk.poller.tick()
    assert desk.ran == [task]


def test_groups_are_polled_in_turn() -> None:
    desk = Desk("a", "b")
    for _ in range(4):
        desk.poller.tick()
    assert desk.api.named("poll") == ["a", "b", "a", "b"]


def test_a_group_can_be_polled_by_another_slot_while_its_task_runs() -> None:
    desk = Desk()
    desk.api.polls = [make_task()]
    seen: list[int] = []

    def run(_task: Task) -> None:
        desk.poller.tick()
        seen.append(len(desk.api.named("poll")))

    desk.poller._run = run
    desk.poller.tick()
    assert seen == [2]


def test_failures_are_spaced_out_and_recovery_starts_afresh() -> None:
    desk = Desk()
    failures: list[Task | Exception | None] = [ServiceUnreachable("refused") for _ in range(10)]
    desk.api.polls = [*failures, None, CallRefused("what", code="ValidationException")]
    for _ in range(12):
        desk.poller.tick()
    waits = desk.clock.waits
    assert len(waits) == 11
    assert all(earlier < later * 2 for earlier, later in pairwise(waits[:10]))
    assert 30 <= waits[9] <= 60
    assert waits[10] <= 1


def test_without_permission_it_polls_no_more() -> None:
    desk = Desk()
    desk.meanwhile(desk.stopping.set)
    desk.api.polls = [NotAuthorized("no", code="AccessDeniedException")]
    desk.poller.loop()
    assert len(desk.api.named("poll")) == 1


def test_a_task_that_arrives_in_a_drain_or_a_pause_is_left_to_others() -> None:
    for end in (lambda desk: desk.stopping.set(), lambda desk: desk.gate.shut("me", "why")):
        desk = Desk()
        desk.api.polls = [make_task()]
        desk.meanwhile(partial(end, desk))
        desk.poller.tick()
        assert len(desk.api.named("poll")) == 1
        assert desk.ran == []
        assert desk.api.named("progress") == []


def test_a_paused_slot_polls_when_the_gate_opens_and_not_when_the_agent_stops() -> None:
    for stop, polls in ((False, 1), (True, 0)):
        desk = Desk()
        desk.gate.shut("me", "why")
        slot = threading.Thread(target=desk.poller.tick)
        slot.start()
        assert desk.api.named("poll") == []
        assert not desk.poller.stuck()
        if stop:
            desk.stopping.set()
            desk.poller.release(1)
        else:
            desk.gate.open("me")
        slot.join(10)
        assert not slot.is_alive()
        assert len(desk.api.named("poll")) == polls


def test_slots_without_a_turn_are_released_by_a_drain() -> None:
    desk = Desk()
    desk.poller.tick()
    desk.poller._turns.get()
    desk.stopping.set()
    desk.poller.release(1)
    desk.poller.tick()
    assert len(desk.api.named("poll")) == 1


def test_only_a_poll_past_its_deadline_is_stuck() -> None:
    desk = Desk()
    asked: list[bool] = []

    def during_poll(**_: object) -> None:
        desk.clock.elapsed += 100
        asked.append(desk.poller.stuck())
        desk.clock.elapsed += 100
        asked.append(desk.poller.stuck())

    desk.api.poll_for_task = during_poll  # type: ignore[method-assign]
    desk.poller.tick()
    assert asked == [False, True]
    desk.clock.elapsed += 1000
    assert not desk.poller.stuck()
