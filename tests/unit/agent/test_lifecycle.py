from __future__ import annotations

import queue
import signal

import pytest

from taskrunner.agent.lifecycle import (
    LoopEnded,
    Mailbox,
    SignalArrived,
    Threads,
    listen,
    longest_nap_s,
)


def test_a_loop_that_returns_or_raises_is_told_by_name() -> None:
    mailbox: Mailbox = queue.SimpleQueue()
    threads = Threads(mailbox)

    def raises() -> None:
        raise KeyError("x")

    threads.start("returning", lambda: None)
    first = mailbox.get(timeout=30)
    threads.start("raising", raises)
    second = mailbox.get(timeout=30)
    assert first == LoopEnded("returning", None)
    assert isinstance(second, LoopEnded)
    assert (second.name, type(second.error)) == ("raising", KeyError)


def test_work_that_may_end_is_told_only_when_it_raises() -> None:
    mailbox: Mailbox = queue.SimpleQueue()
    threads = Threads(mailbox)

    def raises() -> None:
        raise KeyError("x")

    threads.run("ending", lambda: None).join()
    assert mailbox.empty()
    threads.run("raising", raises).join()
    assert not mailbox.empty()


def test_signals_become_messages() -> None:
    mailbox: Mailbox = queue.SimpleQueue()
    before = signal.getsignal(signal.SIGUSR2)
    try:
        listen(mailbox, {signal.SIGUSR2: "any"})
        signal.raise_signal(signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert mailbox.get(timeout=30) == SignalArrived(signal.SIGUSR2)


@pytest.mark.parametrize(
    ("busy", "watchdog_s", "nap_s"),
    [(True, None, 1), (True, 60, 1), (False, None, 5), (False, 60, 5), (False, 3, 1)],
)
def test_the_main_loop_naps_long_only_when_nothing_can_fall_due(
    busy: bool, watchdog_s: float | None, nap_s: float
) -> None:
    assert longest_nap_s(busy=busy, watchdog_s=watchdog_s) == nap_s
