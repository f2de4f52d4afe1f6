from __future__ import annotations

import threading
from itertools import pairwise
from random import Random

from taskrunner.agent.poller import Poller
from taskrunner.errors import CallRefused, NotAuthorized, ServiceUnreachable
from taskrunner.model.task import Task
from tests.unit.agent.fakes import FakeApi, FakeClock, make_task


class Desk:
    def __init__(self, *groups: str) -> None:
        self.api, self.clock, self.stopping = FakeApi(), FakeClock(), threading.Event()
        self.ran: list[Task] = []
        self.refusals: list[NotAuthorized] = []
        self.poller = Poller(
            self.api,
            groups or ("wg",),
            hostname="host",
            run=self.ran.append,
            on_not_authorized=self._refused,
            stopping=self.stopping,
            clock=self.clock,
            random=Random(1),
        )

    def _refused(self, error: NotAuthorized) -> None:
        self.refusals.append(error)
        self.stopping.set()


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


def test_without_permission_the_agent_is_told_and_polls_no_more() -> None:
    desk = Desk()
    desk.api.polls = [NotAuthorized("no", code="AccessDeniedException")]
    desk.poller.loop()
    assert len(desk.refusals) == 1
    assert len(desk.api.named("poll")) == 1


def test_a_task_that_arrives_in_a_drain_is_left_to_others() -> None:
    desk = Desk()
    desk.api.polls = [make_task()]
    desk.stopping.set()
    desk.poller.tick()
    assert desk.ran == []
    assert desk.api.named("progress") == []


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
