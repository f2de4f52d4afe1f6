from __future__ import annotations

import threading

import pytest

from taskrunner.agent.handouts.reporter import Reporter
from taskrunner.errors import CallRefused, ServiceUnreachable, UnknownTask
from tests.unit.agent.fakes import FakeApi, FakeClock, SlowApi


class Desk:
    def __init__(self) -> None:
        self.api, self.clock, self.woken = FakeApi(), FakeClock(), threading.Event()
        self.reporter = Reporter(
            self.api,
            "task-1",
            clock=self.clock,
            interval_s=60,
            fields=lambda: {"rows": "7"},
            wake=self.woken.set,
        )

    def loop(self) -> None:
        """From the acknowledgement on."""
        self.reporter._begun.set()
        self.reporter.loop()


def test_it_reports_at_the_interval_with_what_is_known_of_progress() -> None:
    desk = Desk()
    desk.api.progress = [False, False, True]
    desk.loop()
    assert desk.clock.waits == [60, 60, 60]
    assert desk.api.named("progress") == [{"rows": "7"}] * 3
    assert desk.reporter.canceled
    assert desk.woken.is_set()


def test_it_says_nothing_before_the_task_is_acknowledged() -> None:
    """Its report would be the acknowledgement, of which whoever waits for one does not hear."""
    desk = Desk()
    thread = threading.Thread(target=desk.reporter.loop)
    thread.start()
    desk.api.progress = [ServiceUnreachable("away"), False, True]
    assert desk.reporter.acknowledge(threading.Event())
    thread.join(60)
    assert desk.reporter.canceled
    assert desk.api.named("progress") == [{}, {}, {"rows": "7"}]
    desk = Desk()
    thread = threading.Thread(target=desk.reporter.loop)
    thread.start()
    desk.reporter.end()
    thread.join(60)
    assert desk.api.calls == []


def test_a_failed_report_is_repeated_soon_and_does_not_count_as_an_answer() -> None:
    desk = Desk()
    desk.api.progress = [False, ServiceUnreachable("gone"), CallRefused("no", code="X"), True]
    desk.loop()
    assert desk.clock.waits == [60, 60, 5, 5]
    desk = Desk()
    desk.api.progress = [False, ServiceUnreachable("gone")]
    desk.clock.meanwhile = lambda: desk.reporter.end() if desk.clock.elapsed > 121 else None
    desk.loop()
    assert desk.reporter.answered_at == 60


def test_a_task_that_is_gone_is_superseded() -> None:
    desk = Desk()
    desk.api.progress = [UnknownTask("gone", code="TaskNotFoundException")]
    desk.loop()
    assert desk.reporter.superseded
    assert not desk.reporter.canceled
    assert desk.woken.is_set()


@pytest.mark.parametrize(
    ("answers", "taken"),
    [
        ([False], True),
        ([ServiceUnreachable("x"), False], True),
        ([True], False),
        ([UnknownTask("x", code="TaskNotFoundException")], False),
        ([ServiceUnreachable("x")] * 1000, False),
    ],
)
def test_acknowledging_is_tried_within_the_window_only(
    answers: list[bool | Exception], taken: bool
) -> None:
    desk = Desk()
    desk.api.progress = list(answers)
    assert desk.reporter.acknowledge(threading.Event()) is taken
    assert desk.clock.elapsed < 120


def test_a_lease_counts_from_before_the_report_however_long_its_answer_takes() -> None:
    desk = Desk()
    desk.clock.elapsed = 100
    desk.reporter._api = SlowApi(desk.clock, 14)
    assert desk.reporter.tick({})
    assert desk.clock.elapsed == 114
    assert desk.reporter.answered_at == 100


def test_the_next_report_is_due_an_interval_after_the_last_was_begun() -> None:
    """Not after its answer: as long as that takes, the lease has run already."""
    desk = Desk()
    desk.reporter._api = api = SlowApi(desk.clock, 14, 61, 0)
    api.progress = [False, False, True]
    desk.loop()
    assert desk.clock.waits == [60, 46, 0]


def test_a_slow_answer_to_the_acknowledgement_is_followed_by_a_report_at_once() -> None:
    desk = Desk()
    desk.reporter._api = api = SlowApi(desk.clock, 61, 0)
    assert desk.reporter.acknowledge(threading.Event())
    assert (desk.reporter.answered_at, api.named("progress")) == (61, [{}, {}])
    desk = Desk()
    desk.reporter._api = api = SlowApi(desk.clock, 61, 0)
    api.progress = [False, True]
    assert not desk.reporter.acknowledge(threading.Event())


def test_what_lasts_is_told_at_the_end_unless_it_was() -> None:
    desk = Desk()
    desk.api.progress = [False, False]
    desk.reporter.report_last(["log"])
    assert desk.api.named("progress") == []
    desk.reporter.report_last(["rows"])
    desk.reporter.report_last(["rows"])
    assert desk.api.named("progress") == [{"rows": "7"}]
    # Of a task that is somebody else's by now, nothing is told.
    gone = Desk()
    gone.reporter.superseded = True
    gone.reporter.report_last(["rows"])
    assert gone.api.named("progress") == []
