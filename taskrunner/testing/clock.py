"""A clock that stands still until it is moved."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class FakeClock:
    """A Clock for tests: nothing passes but by `advance`, and by waiting, which takes no time.

    Safe to share between threads.
    """

    def __init__(self, start: datetime = datetime(2026, 2, 13, 2, tzinfo=UTC)) -> None:
        """Set the clock. `start` must be aware."""
        if start.tzinfo is None:
            raise ValueError(f"a clock starts at an aware moment, found {start.isoformat()}")
        self._lock = threading.Lock()
        self._now = start.astimezone(UTC)
        self._monotonic = 0.0
        #: How long each `wait` was to last, in seconds, in order.
        self.waits: list[float] = []

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """Seconds that have passed since the clock was made."""
        with self._lock:
            return self._monotonic

    def advance(self, by: timedelta | float) -> datetime:
        """Let time pass (a number means seconds); returns the new moment.

        Raises ValueError for a step back, which no monotonic clock takes: see `jump`.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if seconds < 0:
            raise ValueError(f"time does not pass backwards: found {seconds} s")
        with self._lock:
            self._now += timedelta(seconds=seconds)
            self._monotonic += seconds
            return self._now

    def jump(self, to: datetime) -> None:
        """Set the wall clock, as an operator or NTP would; the monotonic clock stays."""
        with self._lock:
            self._now = to.astimezone(UTC)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Whether `event` is set; if not, the wait passes at once on both clocks."""
        with self._lock:
            self.waits.append(timeout_s)
        if not event.is_set():
            self.advance(max(0.0, timeout_s))
        return event.is_set()
