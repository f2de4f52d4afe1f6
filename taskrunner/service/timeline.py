"""The service's time: the host's, except that a step of the host's clock ends no lease.

Schedules go by the wall clock. Leases are durations, but are stored as the moments at which they
end: after a step of the clock forwards every runner would be found silent, after one backwards a
dead one would hold its task for as long again. So the service goes on in the old time until it has
moved those moments along, in one transaction.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.engine import Connection

from taskrunner.clock import Clock
from taskrunner.logs import get_logger
from taskrunner.service.store import durations

log = get_logger()

#: Less is no step: clocks are read one after the other, and NTP may correct a second at once.
TOLERANCE = timedelta(seconds=2)
#: Two readings of one moment are no further apart than this, in seconds; else it is read again.
_AT_ONCE_S = 0.25
_READINGS = 10


class Writing(Protocol):
    """Where the moments are kept; no other writer reads the time while one writes."""

    def write(self) -> AbstractContextManager[Connection]:
        """A transaction that may write."""
        ...


class Timeline:
    """A clock for a service that is alone with its store; `catch_up` is to be called often."""

    def __init__(self, clock: Clock, store: Writing) -> None:
        self._clock = clock
        self._store = store
        #: The wall clock and the monotonic one at the same moment.
        self._anchor = self._read()

    def now(self) -> datetime:
        """The present moment, aware, in UTC; that of the old time while a step is not digested."""
        # Before the wall clock, so that a pause in between is not taken for a step back.
        expected = self._expected(self._clock.monotonic())
        found = self._clock.now()
        return found if abs(found - expected) < TOLERANCE else expected

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""
        return self._clock.monotonic()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until `event` is set or `timeout_s` seconds have passed; true when it is set."""
        return self._clock.wait(event, timeout_s)

    def catch_up(self) -> None:
        """If the host's clock was set, have every lease last as long as it would have.

        To be called before anything is decided. Raises StoreError; then the old time goes on.
        """
        wall, monotonic = self._read()
        step = wall - self._expected(monotonic)
        if abs(step) < TOLERANCE:
            self._anchor = (wall, monotonic)
            return
        before = self._anchor
        try:
            with self._store.write() as conn:
                durations.shift(conn, step, wall)
                # Within the transaction: whoever writes next reads the time after this.
                self._anchor = (wall, monotonic)
        except BaseException:
            self._anchor = before
            raise
        log.warning(
            "this host's clock was set: leases of running tasks go on as before",
            by_s=round(step.total_seconds()),
        )

    def _expected(self, monotonic: float) -> datetime:
        wall, then = self._anchor
        return wall + timedelta(seconds=monotonic - then)

    def _read(self) -> tuple[datetime, float]:
        """Both clocks at one moment, as well as can be on a host that may stand still between."""
        for _ in range(_READINGS):
            before = self._clock.monotonic()
            wall = self._clock.now()
            if self._clock.monotonic() - before <= _AT_ONCE_S:
                break
        return wall, before
