"""Statuses as people read them: a glyph, a word and a class of style; color never stands alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sign:
    """How a status is shown."""

    glyph: str
    word: str
    #: Of the style sheet: ok, bad, run, wait, hold or off.
    style: str


_OK, _BAD, _RUN, _WAIT, _HOLD, _OFF = "ok", "bad", "run", "wait", "hold", "off"

#: Of instances, attempts, runs, pipelines and their health.
_SIGNS: Mapping[str, Sign] = {
    "FINISHED": Sign("✓", "finished", _OK),
    "HEALTHY": Sign("✓", "healthy", _OK),
    "FAILED": Sign("✕", "failed", _BAD),
    "ERROR": Sign("✕", "error", _BAD),
    "TIMEDOUT": Sign("✕", "timed out", _BAD),
    "CASCADE_FAILED": Sign("⤓", "cascade failed", "cascade"),
    "RUNNING": Sign("▶", "running", _RUN),
    "SCHEDULED": Sign("▶", "scheduled", _RUN),
    "ACTIVATING": Sign("▶", "activating", _RUN),
    "BEGINNING": Sign("▶", "beginning", _RUN),
    "CREATING": Sign("▶", "creating", _RUN),
    "VALIDATING": Sign("▶", "validating", _RUN),
    "SHUTTING_DOWN": Sign("▶", "shutting down", _RUN),
    "WAITING_FOR_RUNNER": Sign("…", "waiting for a runner", _WAIT),
    "WAITING_ON_DEPENDENCIES": Sign("…", "waiting on dependencies", _WAIT),
    "WAITING": Sign("…", "waiting", _WAIT),
    "PENDING": Sign("…", "pending", _WAIT),
    "CANCELING": Sign("…", "being canceled", _WAIT),
    "DEACTIVATING": Sign("…", "deactivating", _WAIT),
    "PAUSED": Sign("‖", "paused", _HOLD),
    "CANCELED": Sign("⊘", "canceled", _OFF),
    "CANCELLED": Sign("⊘", "canceled", _OFF),
    "SKIPPED": Sign("⊘", "skipped", _OFF),
    "INACTIVE": Sign("⊘", "inactive", _OFF),
    "DEACTIVATED": Sign("⊘", "deactivated", _OFF),
    "": Sign("-", "nothing yet", _OFF),
}


def sign(status: object) -> Sign:
    """How a status is shown; one that is new here, by its own word."""
    text = "" if status is None else str(status)
    return _SIGNS.get(text) or Sign("?", text.lower().replace("_", " "), _WAIT)


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 run`, `2 runs`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
