"""Holding a copy to so many rows and bytes a second."""

from __future__ import annotations

import threading
from collections.abc import Callable

from taskrunner.clock import Clock

#: So long is waited at most until it is asked whether the copy is to go on.
_SLICE_S = 1.0


class Throttle:
    """Token buckets, of which each holds a second's worth; what is taken beyond is waited for.

    Pieces are as large as they come: what one takes too much, those behind it wait for.
    """

    def __init__(
        self, *, rows: float | None, size: float | None, clock: Clock, check: Callable[[], None]
    ) -> None:
        """`rows` and `size` (in bytes): how many a second, None any number; `check` may raise."""
        named = ((rows, "rows/s"), (size, "bytes/s"))
        self._told = " and ".join(f"{rate:,.15g} {unit}" for rate, unit in named if rate)
        self._buckets = [_Bucket(rate, clock) for rate in (rows, size) if rate is not None]
        self._rates = (rows is not None, size is not None)
        self._clock = clock
        self._check = check
        self._never = threading.Event()
        #: So long has been waited in all.
        self.waited_s = 0.0

    def __str__(self) -> str:
        return self._told

    def take(self, rows: int, size: int) -> None:
        """Count what has been moved, and wait until that was due."""
        counts = [n for n, is_bound in zip((rows, size), self._rates, strict=True) if is_bound]
        for bucket, count in zip(self._buckets, counts, strict=True):
            wait_s = bucket.take(count)
            while wait_s > 0:
                slice_s = min(wait_s, _SLICE_S)
                self._clock.wait(self._never, slice_s)
                self.waited_s += slice_s
                self._check()
                wait_s -= slice_s


class _Bucket:
    def __init__(self, rate: float, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._balance = rate
        self._at = clock.monotonic()

    def take(self, count: int) -> float:
        """How many seconds it takes until so many more have been due."""
        now = self._clock.monotonic()
        self._balance = min(self._balance + (now - self._at) * self._rate, self._rate) - count
        self._at = now
        return max(-self._balance / self._rate, 0.0)
