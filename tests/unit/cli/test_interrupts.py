from __future__ import annotations

import os
import signal
import threading

import pytest

from taskrunner.cli.interrupts import Interrupts


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def test_the_first_signal_asks_for_the_end_and_the_second_forces_it() -> None:
    stop = threading.Event()
    interrupts = Interrupts(stop)
    with interrupts.heard():
        assert (stop.is_set(), interrupts.number, interrupts.hard) == (False, None, False)
        send(signal.SIGTERM)
        assert (stop.is_set(), interrupts.number, interrupts.hard) == (True, signal.SIGTERM, False)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
        assert interrupts.hard
        assert interrupts.number == signal.SIGTERM, "what the exit code tells"
        # A third is not to break off what the second has begun.
        send(signal.SIGINT)


def test_afterwards_signals_do_what_they_did_before() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    before = [signal.getsignal(number) for number in numbers]
    with Interrupts(threading.Event()).heard():
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before


def test_what_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interrupts = Interrupts(threading.Event())
        with interrupts.heard():
            send(signal.SIGHUP)
        assert interrupts.number is None
    finally:
        signal.signal(signal.SIGHUP, before)
