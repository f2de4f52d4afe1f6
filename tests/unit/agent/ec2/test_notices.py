from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from taskrunner.agent.ec2.host import Ec2Host
from taskrunner.agent.ec2.imds import Metadata
from taskrunner.agent.ec2.notices import SOURCES, Kind, Notice, NoticePolicy, NoticeWatch
from taskrunner.agent.handouts.host_deadline import HostDeadline
from taskrunner.agent.lifecycle import HostEnding, Message, TakeNoMore
from taskrunner.testing import FakeClock
from tests.unit.agent.ec2.metadata import FakeTransport
from tests.unit.agent.fakes import FakeClock as WaitingClock

SPOT, SCALE_IN, REBALANCE = (source.path for source in SOURCES)
NOW = datetime(2026, 2, 13, 2, tzinfo=UTC)


def spot(seconds: float, action: str = "terminate") -> str:
    at = NOW + timedelta(seconds=seconds)
    return json.dumps({"action": action, "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")})


class Bench:
    def __init__(self, policy: NoticePolicy | None = None) -> None:
        self.transport, self.clock = FakeTransport({SCALE_IN: "InService"}), FakeClock(NOW)
        host = Ec2Host(Metadata(self.transport, self.clock), self.clock)
        self.watch = NoticeWatch(host, self.clock, policy or NoticePolicy())
        self.told: list[Message] = []

    def tick(self, seconds: float = 1) -> list[Message]:
        """One round, and what is new since the last one."""
        before = len(self.told)
        self.watch.tick(self.told.append)
        self.clock.advance(seconds)
        return self.told[before:]


def test_nothing_is_told_while_nothing_is_announced() -> None:
    bench = Bench()
    assert [bench.tick() for _ in range(5)] == [[]] * 5


@pytest.mark.parametrize("action", ["terminate", "stop", "hibernate"])
def test_a_spot_notice_says_how_long_the_host_has_left_and_is_told_once(action: str) -> None:
    bench = Bench()
    bench.transport.values[SPOT] = spot(120, action)
    assert bench.tick() == [HostEnding(120.0, f"spot interruption: {action}")]
    assert bench.tick() == []


def test_a_notice_whose_time_changes_is_told_again() -> None:
    bench = Bench()
    bench.transport.values[SPOT] = spot(120)
    bench.tick()
    bench.transport.values[SPOT] = spot(60)
    assert bench.tick() == [HostEnding(59.0, "spot interruption: terminate")]


@pytest.mark.parametrize(
    ("seconds", "left"),
    # A clock that is late by ten minutes, or early by ten, must not cost the tasks.
    [(720, 120.0), (-480, 0.0)],
)
def test_a_wrong_clock_makes_no_notice_longer_than_it_can_be(seconds: float, left: float) -> None:
    bench = Bench()
    bench.transport.values[SPOT] = spot(seconds)
    assert bench.tick() == [HostEnding(left, "spot interruption: terminate")]


@pytest.mark.parametrize("time", [None, "soon", 17])
def test_a_spot_notice_without_a_readable_time_counts_all_the_same(time: object) -> None:
    bench = Bench(NoticePolicy(assumed_s=90))
    bench.transport.values[SPOT] = json.dumps({"action": "terminate", "time": time})
    assert bench.tick() == [HostEnding(90, "spot interruption: terminate")]


@pytest.mark.parametrize("text", ["", "<html>", "[]", "{}", '{"action": 1}', "null"])
def test_what_is_no_notice_is_none(text: str) -> None:
    bench = Bench()
    bench.transport.values.update({SPOT: text, REBALANCE: text, SCALE_IN: text})
    assert bench.tick() == []


@pytest.mark.parametrize(
    ("state", "leaves"),
    [
        ("InService", False),
        ("Standby", False),
        ("Detached", False),
        ("Warmed:Running", False),
        ("Terminated", True),
        ("Terminated\n", True),
        ("Warmed:Stopped", True),
        ("Warmed:Hibernated", True),
        ("Warmed:Terminated", True),
    ],
)
def test_auto_scaling_tells_by_the_state_that_it_aims_at(state: str, leaves: bool) -> None:
    bench = Bench(NoticePolicy(assumed_s=45))
    bench.transport.values[SCALE_IN] = state
    told = bench.tick()
    assert [message.left_s for message in told if isinstance(message, HostEnding)] == (
        [45] if leaves else []
    )


def test_a_rebalance_recommendation_only_keeps_new_work_away() -> None:
    bench = Bench()
    bench.transport.values[REBALANCE] = '{"noticeTime": "2026-02-13T02:00:00Z"}'
    assert bench.tick() == [TakeNoMore("rebalance recommendation")]
    bench.transport.values[SPOT] = spot(120)
    assert bench.tick() == [HostEnding(119.0, "spot interruption: terminate")]


def test_a_rebalance_recommendation_may_be_ignored() -> None:
    bench = Bench(NoticePolicy(hold_on_rebalance=False))
    bench.transport.values[REBALANCE] = '{"noticeTime": "2026-02-13T02:00:00Z"}'
    assert bench.tick() == []


def test_gaps_in_the_service_are_outwaited_and_take_no_notice_back() -> None:
    bench = Bench()
    for failure in ("no connection could be made", "no whole answer within 1 s"):
        bench.transport.failures = {"GET": failure, "PUT": failure}
        assert bench.tick() == []
    bench.transport.failures = {}
    bench.transport.statuses[SPOT] = 503
    assert bench.tick() == []
    bench.transport.statuses.clear()
    bench.transport.values[SPOT] = spot(120)
    assert len(bench.tick()) == 1
    del bench.transport.values[SPOT]
    assert bench.tick() == []
    bench.transport.values[SPOT] = spot(120)
    assert bench.tick() == []


def test_it_looks_each_second_until_the_agent_closes() -> None:
    clock, closing = WaitingClock(), threading.Event()
    transport = FakeTransport()
    watch = NoticeWatch(Ec2Host(Metadata(transport, clock), clock), clock, NoticePolicy())
    told: list[Message] = []

    def tell(message: Message) -> None:
        told.append(message)
        closing.set()

    def meanwhile() -> None:
        if len(clock.waits) == 3:
            transport.values[SPOT] = spot(120)

    clock.meanwhile = meanwhile
    watch.loop(tell, closing)
    assert clock.waits == [1.0] * 3
    assert told == [HostEnding(117.0, "spot interruption: terminate")]


def test_a_notice_keeps_the_time_zone_that_it_names() -> None:
    notice = Notice(kind=Kind.SPOT, at=datetime.fromisoformat("2026-02-13T03:01:00+01:00"))
    assert notice.left_s(NOW, assumed_s=0) == 60


def test_haste_without_a_notice_changes_nothing() -> None:
    host_deadline = HostDeadline(FakeClock())
    assert not host_deadline.urgent
    assert host_deadline.grace_s(10) == 10
    assert host_deadline.work_s(margin_s=30, grace_s=10) == float("inf")


@pytest.mark.parametrize(
    ("left", "grace", "work", "urgent"),
    [
        # All is told 30 s before the end: the work has what remains before TERM and KILL.
        (120, 10, 80, False),
        (45, 10, 5, False),
        (30, 10, 0, False),
        (20, 5, 0, False),
        # Verdicts first, and no time for goodbyes.
        (9.5, 0, 0, True),
        (0, 0, 0, True),
    ],
)
def test_haste_divides_what_is_left(left: float, grace: float, work: float, urgent: bool) -> None:
    clock = FakeClock()
    host_deadline = HostDeadline(clock)
    host_deadline.host_ends_in(left)
    assert host_deadline.grace_s(10) == grace
    assert host_deadline.work_s(margin_s=30, grace_s=grace) == work
    assert host_deadline.urgent is urgent


def test_haste_grows_with_time_and_the_earliest_end_counts() -> None:
    clock = FakeClock()
    host_deadline = HostDeadline(clock)
    host_deadline.host_ends_in(120)
    host_deadline.host_ends_in(3600)
    clock.advance(111)
    assert host_deadline.urgent
    assert host_deadline.left_s == 9
    clock.advance(60)
    assert host_deadline.left_s == 0
