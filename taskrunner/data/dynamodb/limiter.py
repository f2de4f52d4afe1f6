"""Holding a rate of capacity units: what a reply says it consumed is waited for by the next call.

A call's cost is known only when its reply is there. Until then an estimate counts, so that calls
of several threads do not all begin at once.
"""

from __future__ import annotations

import threading

from taskrunner.clock import Clock

#: How many seconds' worth of unused units may be made up for later.
_SAVED_S = 1.0


class Stopped(Exception):
    """The work was told to stop while it waited."""


class CapacityLimiter:
    """Lets calls through so that they consume no more than `rate` units a second. Thread-safe."""

    def __init__(self, rate: float, *, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        #: Units that may be spent; below zero, those that time has still to bring.
        self._balance = 0.0
        self._counted_at = clock.monotonic()
        #: All units that replies have told of so far.
        self.consumed = 0.0

    @property
    def rate(self) -> float:
        """Units a second."""
        return self._rate

    def change(self, rate: float) -> None:
        """Hold another rate from now on."""
        with self._lock:
            self._refill()
            self._rate = rate

    def begin(self, estimate: float, stop: threading.Event) -> None:
        """Wait until what was spent before has been made up for; raises Stopped.

        `estimate` is what the call will probably consume: `end` is told what it did.
        """
        with self._lock:
            self._refill()
            debt = -self._balance
            self._balance -= estimate
            wait_s = debt / self._rate if debt > 0 else 0.0
        if self._clock.wait(stop, wait_s) if wait_s else stop.is_set():
            raise Stopped

    def end(self, estimate: float, consumed: float) -> None:
        """Put what a call consumed in the place of its estimate."""
        with self._lock:
            self._balance += estimate - consumed
            self.consumed += consumed

    def _refill(self) -> None:
        now = self._clock.monotonic()
        gained = (now - self._counted_at) * self._rate
        self._balance = min(self._balance + gained, self._rate * _SAVED_S)
        self._counted_at = now
