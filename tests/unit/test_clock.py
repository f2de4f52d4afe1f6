from __future__ import annotations

import threading

import pytest

from taskrunner.clock import SystemClock


@pytest.mark.parametrize("timeout_s", [400 * 366 * 86400.0, 1e18, float("inf")])
def test_a_wait_that_is_longer_than_the_machine_can_wait_still_ends_with_its_event(
    timeout_s: float,
) -> None:
    event = threading.Event()
    setter = threading.Timer(0.05, event.set)
    setter.start()
    assert SystemClock().wait(event, timeout_s)
    setter.join()


@pytest.mark.parametrize("timeout_s", [-1.0, 0.0, 0.001])
def test_a_wait_that_ends_before_its_event_says_so(timeout_s: float) -> None:
    assert not SystemClock().wait(threading.Event(), timeout_s)
