"""The critical path of a run: the steps one after the other that made it take as long as it did.

It is found from its end: what ended last, then of what that had waited for the one that ended last,
and so on. What is not on it could have taken longer, and the run would have been over as soon.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple


class Span(NamedTuple):
    """From when to when something went on; `ended` is None while it does."""

    began: datetime
    ended: datetime | None


def critical_path(
    spans: Mapping[str, Span], waited_for: Mapping[str, Collection[str]], now: datetime
) -> list[str]:
    """The ids of the steps on it, the first one first; of nothing that has begun, none."""

    def end(key: str) -> datetime:
        return spans[key].ended or now

    path: list[str] = []
    step = max(spans, key=lambda key: (end(key), key), default=None)
    while step is not None and step not in path:
        path.append(step)
        before = [key for key in waited_for.get(step, ()) if key in spans]
        step = max(before, key=lambda key: (end(key), key), default=None)
    return path[::-1]
