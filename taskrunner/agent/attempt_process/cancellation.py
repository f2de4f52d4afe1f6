"""How a running attempt learns that it must stop: TERM becomes Canceled in the plugin's code."""

from __future__ import annotations

import signal

from taskrunner.errors import Canceled
from taskrunner.host.users import NOT_NOW


class Cancellation:
    """Set by the first TERM. Raised at once while the plugin runs, so that a wait is cut short."""

    def __init__(self) -> None:
        self.asked = False
        self._armed = False

    def install(self) -> None:
        """Take over TERM; main thread only."""
        signal.signal(signal.SIGTERM, self._arrived)

    def __enter__(self) -> Cancellation:
        self.check()
        self._armed = True
        return self

    def __exit__(self, *_: object) -> None:
        self._armed = False

    def check(self) -> None:
        """Raise Canceled when the attempt must stop."""
        if self.asked:
            raise Canceled

    def _arrived(self, _number: int, _frame: object) -> None:
        first, self.asked = not self.asked, True
        # Raised once only: a second time would interrupt the clean-up after the first.
        if first:
            NOT_NOW.call(self._cut_short)

    def _cut_short(self) -> None:
        if self._armed:
            raise Canceled
