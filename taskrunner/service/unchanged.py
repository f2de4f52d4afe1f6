"""What need not be looked for again, since nothing was committed since it was looked for last.

Some of the service's duties look at the store several times a second, mostly for nothing. SQLite
says whether anybody has committed anything without reading any of it. A server is asked for that
once a second for all of them (`Store.look`), and they are woken when it says so.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from taskrunner.service.store.backend import Mark


class Marked(Protocol):
    """A store, as far as it is asked here."""

    def mark(self) -> Mark | None:
        """Something else once anything was committed; None: it cannot be told."""
        ...


class Look(NamedTuple):
    """A look at a store, or one that was not needed."""

    #: The store's, from before the look.
    mark: Mark | None
    #: Whether there can be anything new.
    is_needed: bool
    #: If not, when something becomes due though nobody does anything; None: never.
    until: datetime | None = None


class _Nothing(NamedTuple):
    mark: Mark
    until: datetime | None


class Unchanged:
    """One duty's memory of its last look that found nothing; safe for threads."""

    def __init__(self, store: Marked) -> None:
        self._store = store
        self._nothing: _Nothing | None = None

    def look(self, now: datetime) -> Look:
        """Begin a look, unless nothing has changed and nothing has become due by itself."""
        mark, known = self._store.mark(), self._nothing
        if known is None or mark is None or mark != known.mark:
            return Look(mark, is_needed=True)
        is_due = known.until is not None and now >= known.until
        return Look(mark, is_needed=is_due, until=known.until)

    def found_nothing(self, look: Look, *, until: datetime | None) -> None:
        """Take note of it, and of when something becomes due though nobody does anything."""
        if look.mark is not None:
            self._nothing = _Nothing(look.mark, until)
