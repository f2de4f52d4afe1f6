"""How often open pages are told of changes.

A page that is told asks for its changing part at once. On a busy service all open pages are out of
date all the time: so they are told one after the other, so far apart that answering them takes a
small share of a core, whatever a page costs. A few pages notice nothing of it.
"""

from __future__ import annotations

#: Of a core, for all open pages together.
SHARE = 0.07
#: How much the latest part counts in what parts are said to cost.
_LATEST = 0.1


class Pace:
    """The turns of open pages, by what their parts have cost so far; for threads and a loop."""

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        #: Seconds of processor time.
        self._cost = 0.0
        self._free_at = 0.0

    def spent(self, seconds: float) -> None:
        """A part has cost so much."""
        known = self._cost or seconds
        self._cost = known + _LATEST * (seconds - known)

    def turn(self, now: float) -> float:
        """When the next page is to be told: now, unless others have been told just before."""
        at = max(now, self._free_at)
        self._free_at = at + self._cost / self._share
        return at
