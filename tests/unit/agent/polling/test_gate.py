from __future__ import annotations

import threading

from taskrunner.agent.polling.gate import Gate
from tests.unit.agent.fakes import FakeClock


def test_it_is_open_when_nobody_has_a_reason() -> None:
    gate = Gate(FakeClock())
    gate.wait()
    assert gate.shut("a", "first")
    assert gate.shut("b", "other")
    assert not gate.shut("a", "second"), "that was no news"
    assert gate.closures["a"].why == "second"
    assert gate.open("a")
    assert not gate.open("a")
    assert list(gate.closures) == ["b"]
    assert gate.open("b")
    assert not gate.is_shut
    gate.wait()


def test_it_tells_when_a_reason_comes_or_goes() -> None:
    told: list[list[str]] = []
    gate = Gate(FakeClock())
    gate.changed = lambda: told.append(list(gate.closures))
    gate.shut("a", "first")
    gate.shut("a", "second")
    gate.open("b")
    gate.open("a")
    assert told == [["a"], []]


def test_the_first_moment_of_a_closure_is_kept() -> None:
    clock = FakeClock()
    gate = Gate(clock)
    gate.shut("a", "first")
    since = gate.closures["a"].since
    clock.elapsed += 60
    gate.shut("a", "second")
    assert gate.closures["a"].since == since


def test_whoever_waits_goes_on_at_the_end_although_it_stays_shut() -> None:
    gate = Gate(FakeClock())
    gate.shut("a", "why")
    waiting = threading.Thread(target=gate.wait)
    waiting.start()
    gate.end()
    waiting.join(10)
    assert not waiting.is_alive()
    gate.shut("b", "later")
    gate.wait()
    assert gate.is_shut
