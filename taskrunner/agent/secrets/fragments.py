"""Parts of long secrets in a text: servers and drivers quote the statement that they did not like.

A table of every run of 12 bytes in a secret is asked for each 12th place of a text, which finds
whatever 23 bytes the two share. Of shorter secrets, runs of 4 find whatever 8 they share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from taskrunner.logins import SHORTEST

_RUN = 12
_SHORT_RUN = 4
#: Of a run that a secret repeats, so many are followed.
_MOST_PLACES = 8
#: Every part of so many bytes is found, and no shorter one is taken for a part.
SHORTEST_PART = 2 * _RUN - 1


class Fragments:
    """The parts of some secrets, long ones or `short`."""

    def __init__(self, secrets: Iterable[bytes], *, short: bool = False) -> None:
        self._run = _SHORT_RUN if short else _RUN
        self._shortest = SHORTEST if short else SHORTEST_PART
        #: Of each secret its runs, and where in it they stand.
        self._tables = [(secret, _runs(secret, self._run)) for secret in secrets]

    def find(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Where parts stand, in order."""
        if not self._tables:
            return
        reached = 0
        for at in range(0, len(text) - self._run + 1, self._run):
            if at < reached:
                continue
            start, end = self._part(text, at)
            if end - start >= self._shortest:
                yield start, end
                reached = end

    def _part(self, text: bytes, at: int) -> tuple[int, int]:
        """The longest part of a secret around a place; an empty one when there is none."""
        run, longest = text[at : at + self._run], (at, at)
        for secret, runs in self._tables:
            for place in runs.get(run, ()):
                part = _widened(text, at, secret, place, len(run))
                longest = max(longest, part, key=lambda span: span[1] - span[0])
        return longest


def _runs(secret: bytes, size: int) -> dict[bytes, list[int]]:
    runs: dict[bytes, list[int]] = {}
    for at in range(len(secret) - size + 1):
        places = runs.setdefault(secret[at : at + size], [])
        if len(places) < _MOST_PLACES:
            places.append(at)
    return runs


def _widened(text: bytes, at: int, secret: bytes, place: int, size: int) -> tuple[int, int]:
    """The largest stretch around a match in which text and secret agree."""
    start, end = at, at + size
    before, after = place, place + size
    while start > 0 and before > 0 and text[start - 1] == secret[before - 1]:
        start, before = start - 1, before - 1
    while end < len(text) and after < len(secret) and text[end] == secret[after]:
        end, after = end + 1, after + 1
    return start, end
