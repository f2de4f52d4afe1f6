"""How long the host still lives, and how much time that leaves for ending tasks."""

from __future__ import annotations

import math

from taskrunner.clock import Clock

#: With less than this left, verdicts go out first and logs after them.
_URGENT_S = 10.0


class HostDeadline:
    """Without a notice the host has all the time there is. Set by one thread, read by all."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends_at = math.inf

    def host_ends_in(self, left_s: float) -> None:
        """Set when the host goes; of several announcements the earliest counts."""
        self._ends_at = min(self._ends_at, self._clock.monotonic() + left_s)

    @property
    def left_s(self) -> float:
        """Seconds until the host goes, which may be infinitely many; never negative."""
        return max(self._ends_at - self._clock.monotonic(), 0.0)

    @property
    def urgent(self) -> bool:
        """Whether a verdict must not wait for logs any more."""
        return self.left_s < _URGENT_S

    def grace_s(self, usual_s: float) -> float:
        """Seconds between TERM and KILL: as usual, or what leaves time to tell."""
        return min(usual_s, max(self.left_s - _URGENT_S, 0.0) / 2)

    def work_s(self, *, margin_s: float, grace_s: float) -> float:
        """Seconds that running tasks may go on so that all is told `margin_s` before the end."""
        return max(self.left_s - margin_s - grace_s, 0.0)
