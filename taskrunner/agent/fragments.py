"""Parts of long secrets in a text: servers and drivers quote the statement that they did not like.

A table of every run of 12 bytes in a secret is asked for each 12th place of a text, which finds
whatever 23 bytes the two share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["SHORTEST_PART", "Fragments"]

_RUN = 12
#: Every part of so many bytes is found, and no shorter one is taken for a part.
SHORTEST_PART = 2 * _RUN - 1


class Fragments:
    """The parts of some secrets."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._places: dict[bytes, tuple[bytes, int]] = {}
        for secret in secrets:
            for at in range(len(secret) - _RUN + 1):
                self._places.setdefault(secret[at : at + _RUN], (secret, at))

    def find(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Where parts stand, in order."""
        if not self._places:
            return
        reached = 0
        for at in range(0, len(text) - _RUN + 1, _RUN):
            if at < reached or (found := self._places.get(text[at : at + _RUN])) is None:
                continue
            start, end = _widened(text, at, *found)
            if end - start >= SHORTEST_PART:
                yield start, end
                reached = end


def _widened(text: bytes, at: int, secret: bytes, place: int) -> tuple[int, int]:
    """How far around a run the text goes on as the secret does."""
    start, end = at, at + _RUN
    before, after = place, place + _RUN
    while start > 0 and before > 0 and text[start - 1] == secret[before - 1]:
        start, before = start - 1, before - 1
    while end < len(text) and after < len(secret) and text[end] == secret[after]:
        end, after = end + 1, after + 1
    return start, end
