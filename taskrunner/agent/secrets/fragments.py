"""Parts of long secrets in a text: servers and drivers quote the statement that they did not like.

A table of every run of 12 bytes in a secret is asked for each 12th place of a text, which finds
whatever 23 bytes the two share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_RUN = 12
#: Of a run that a secret repeats, so many are followed.
_MOST_PLACES = 8
#: Every part of so many bytes is found, and no shorter one is taken for a part.
SHORTEST_PART = 2 * _RUN - 1


class Fragments:
    """The parts of some secrets."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        #: Of each secret its runs, and where in it they stand.
        self._tables = [(secret, _runs(secret)) for secret in secrets]

    def find(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Where parts stand, in order."""
        if not self._tables:
            return
        reached = 0
        for at in range(0, len(text) - _RUN + 1, _RUN):
            if at < reached:
                continue
            start, end = self._part(text, at)
            if end - start >= SHORTEST_PART:
                yield start, end
                reached = end

    def _part(self, text: bytes, at: int) -> tuple[int, int]:
        """The longest part of a secret around a place; an empty one when there is none."""
        run, longest = text[at : at + _RUN], (at, at)
        for secret, runs in self._tables:
            for place in runs.get(run, ()):
                part = _widened(text, at, secret, place)
                longest = max(longest, part, key=lambda span: span[1] - span[0])
        return longest


def _runs(secret: bytes) -> dict[bytes, list[int]]:
    runs: dict[bytes, list[int]] = {}
    for at in range(len(secret) - _RUN + 1):
        places = runs.setdefault(secret[at : at + _RUN], [])
        if len(places) < _MOST_PLACES:
            places.append(at)
    return runs


def _widened(text: bytes, at: int, secret: bytes, place: int) -> tuple[int, int]:
    """The largest stretch around a match in which text and secret agree."""
    start, end = at, at + _RUN
    before, after = place, place + _RUN
    while start > 0 and before > 0 and text[start - 1] == secret[before - 1]:
        start, before = start - 1, before - 1
    while end < len(text) and after < len(secret) and text[end] == secret[after]:
        end, after = end + 1, after + 1
    return start, end
