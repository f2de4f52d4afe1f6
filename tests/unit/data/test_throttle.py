from __future__ import annotations

import pytest

from taskrunner.data.throttle import Throttle
from taskrunner.errors import Canceled
from taskrunner.testing import FakeClock


def test_a_second_is_taken_at_once_and_the_rest_is_waited_for() -> None:
    clock = FakeClock()
    begun = clock.monotonic()
    throttle = Throttle(rows=100, size=None, clock=clock, check=lambda: None)
    throttle.take(100, 10**9)
    assert clock.monotonic() == begun
    throttle.take(250, 0)
    assert clock.monotonic() == begun + 2.5
    for _ in range(10):
        throttle.take(100, 0)
    assert clock.monotonic() == begun + 12.5


def test_what_it_holds_to_and_how_long_was_waited_is_told() -> None:
    throttle = Throttle(rows=0.5, size=2_000_000, clock=FakeClock(), check=lambda: None)
    assert str(throttle) == "0.5 rows/s and 2,000,000 bytes/s"
    throttle.take(1, 3_000_000)
    assert throttle.waited_s == 1.5


def test_the_slower_of_both_counts() -> None:
    clock = FakeClock()
    begun = clock.monotonic()
    throttle = Throttle(rows=100, size=1000, clock=clock, check=lambda: None)
    throttle.take(10, 4000)
    assert clock.monotonic() == begun + 3
    throttle.take(400, 0)
    assert clock.monotonic() == begun + 6


def test_what_was_not_used_is_kept_for_a_second_only() -> None:
    clock = FakeClock()
    throttle = Throttle(rows=100, size=None, clock=clock, check=lambda: None)
    throttle.take(100, 0)
    clock.advance(1000)
    begun = clock.monotonic()
    throttle.take(200, 0)
    assert clock.monotonic() == begun + 1


def test_whoever_waits_can_be_stopped() -> None:
    clock = FakeClock()
    begun = clock.monotonic()

    def check() -> None:
        if clock.monotonic() >= begun + 3:
            raise Canceled("enough")

    throttle = Throttle(rows=1, size=None, clock=clock, check=check)
    with pytest.raises(Canceled):
        throttle.take(1000, 0)
    assert clock.monotonic() == begun + 3
