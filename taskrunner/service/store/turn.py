"""Whose turn it is to write: one at a time, and who has much to write lets others in between."""

from __future__ import annotations

import threading


class Turn:
    """A lock that knows who waits for it. Not to be taken twice by one thread."""

    def __init__(self) -> None:
        lock = threading.Lock()
        self._free = threading.Condition(lock)
        self._gone_on = threading.Condition(lock)
        self._held = False
        #: How many wait for it.
        self.waiting = 0
        #: Counts turns, so that it is seen that somebody had one.
        self._taken = 0

    def acquire(self, timeout: float) -> bool:
        """Wait for the turn; false when it was not to be had for so many seconds."""
        with self._free:
            self.waiting += 1
            try:
                if not self._free.wait_for(lambda: not self._held, timeout):
                    return False
                self._held = True
                return True
            finally:
                self.waiting -= 1
                self._taken += 1
                self._gone_on.notify_all()

    def release(self) -> None:
        """Give the turn to whoever comes first."""
        with self._free:
            self._held = False
            self._free.notify()

    def give_way(self, timeout: float) -> None:
        """Return once somebody who waits has had a turn; at once when nobody does.

        Without this the thread that has just released the lock would mostly get it again: the
        others have to be woken first.
        """
        with self._free:
            seen = self._taken
            self._gone_on.wait_for(lambda: not self.waiting or self._taken != seen, timeout)
