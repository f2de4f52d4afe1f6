"""The rate of consumed units, on a clock that stands still."""

from __future__ import annotations

import threading

import pytest

from taskrunner.data.dynamodb.limiter import CapacityLimiter, Stopped
from taskrunner.testing import FakeClock

GO = threading.Event()


def spend(limiter: CapacityLimiter, *costs: float, estimate: float = 1.0) -> None:
    for cost in costs:
        limiter.begin(estimate, GO)
        limiter.end(estimate, cost)


def test_what_replies_consumed_is_waited_for() -> None:
    clock = FakeClock()
    limiter = CapacityLimiter(20.0, clock=clock)
    spend(limiter, *[25.0] * 7, 22.5, 0.0)
    assert limiter.consumed == 197.5
    assert clock.monotonic() == pytest.approx(197.5 / 20)


def test_an_estimate_does_not_count_beside_what_was_consumed() -> None:
    clock = FakeClock()
    limiter = CapacityLimiter(10.0, clock=clock)
    spend(limiter, *[5.0] * 20, 0.0, estimate=1000.0)
    assert clock.monotonic() == pytest.approx(10.0)


def test_calls_that_begin_at_once_share_the_rate() -> None:
    clock = FakeClock()
    limiter = CapacityLimiter(10.0, clock=clock)
    for _ in range(4):
        limiter.begin(5.0, GO)
    # The first goes at once; each of the others waits for those before it.
    assert clock.waits == pytest.approx([0.5, 0.5, 0.5])


def test_a_pause_is_made_up_for_by_one_second_at_the_most() -> None:
    clock = FakeClock()
    limiter = CapacityLimiter(10.0, clock=clock)
    clock.advance(3600)
    spend(limiter, 10.0, 10.0, 0.0)
    assert clock.monotonic() == pytest.approx(3601)


def test_a_changed_rate_holds_from_then_on() -> None:
    clock = FakeClock()
    limiter = CapacityLimiter(10.0, clock=clock)
    spend(limiter, 100.0)
    limiter.change(50.0)
    spend(limiter, 0.0)
    assert limiter.rate == 50.0
    assert clock.monotonic() == pytest.approx(2.0)


def test_a_stop_ends_the_wait() -> None:
    stop = threading.Event()
    limiter = CapacityLimiter(1.0, clock=FakeClock())
    spend(limiter, 1000.0)
    stop.set()
    with pytest.raises(Stopped):
        limiter.begin(1.0, stop)


def test_a_stop_is_seen_without_a_wait() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        CapacityLimiter(1.0, clock=FakeClock()).begin(1.0, stop)
