from __future__ import annotations

import queue
import signal

from taskrunner.lifecycle import LoopEnded, Mailbox, SignalArrived, Threads, listen


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
