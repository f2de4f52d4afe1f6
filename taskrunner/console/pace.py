"""How often open pages are told of changes.

A page that is told asks for its changing part at once. On a busy service all open pages are out of
date all the time: so they are told one after the other, so far apart that answering them takes a
small share of a core, whatever a page costs. A few pages notice nothing of it.
"""

from __future__ import annotations

from collections import OrderedDict

#: Of a core, for all open pages together; as much again goes to what is around the parts.
SHARE = 0.045
#: How much the latest part counts in what parts are said to cost.
_LATEST = 0.1
#: So many subjects are known apart.
_MOST = 1000


class Pace:
    """The turns of open pages, by what their parts have cost so far; for threads and a loop.

    What a part costs is known by its subject, a pipeline or all of them: the list of a thousand
    pipelines takes fifty times as long as a grid of two rows, and turns are given ahead.
    """

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        #: Seconds of processor time: of all, and by subject, the one asked for longest ago first.
        self._cost = 0.0
        self._costs: OrderedDict[str, float] = OrderedDict()
        self._free_at = 0.0

    def spent(self, subject: str, seconds: float) -> None:
        """A part has cost so much; the subject is the id of a pipeline, or empty."""
        self._cost = _mixed(self._cost or seconds, seconds)
        self._costs[subject] = _mixed(self._costs.pop(subject, seconds), seconds)
        if len(self._costs) > _MOST:
            self._costs.popitem(last=False)

    def turn(self, subject: str, now: float) -> float:
        """When the next page is to be told: now, unless others have been told just before."""
        at = max(now, self._free_at)
        self._free_at = at + self._costs.get(subject, self._cost) / self._share
        return at


def _mixed(known: float, latest: float) -> float:
    return known + _LATEST * (latest - known)
