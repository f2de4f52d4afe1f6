"""The gate before every poll: shut while at least one reason (pause, full disk) stands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from taskrunner.clock import Clock

#: Who may shut it.
OPERATOR = "operator"
DISK = "disk"
HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """One reason to take no work."""

    why: str
    since: datetime


class Gate:
    """Slots wait here before each poll. Safe for threads."""

    def __init__(self, clock: Clock) -> None:
        #: Called when somebody's reason has come or gone.
        self.changed: Callable[[], None] = lambda: None
        self._clock = clock
        self._lock = threading.Lock()
        self._closures: dict[str, Closure] = {}
        self._open = threading.Event()
        self._open.set()
        self._ended = False

    @property
    def closures(self) -> Mapping[str, Closure]:
        """Who has shut it, and why."""
        with self._lock:
            return dict(self._closures)

    @property
    def is_shut(self) -> bool:
        """Whether anybody has a reason."""
        return bool(self._closures)

    def shut(self, who: str, why: str) -> bool:
        """Take no work; returns whether `who` had not said so before."""
        with self._lock:
            new = who not in self._closures
            since = self._clock.now() if new else self._closures[who].since
            self._closures[who] = Closure(why=why, since=since)
            if not self._ended:
                self._open.clear()
        if new:
            self.changed()
        return new

    def open(self, who: str) -> bool:
        """Withdraw the reason of `who`; returns whether there was one."""
        with self._lock:
            found = self._closures.pop(who, None) is not None
            if not self._closures:
                self._open.set()
        if found:
            self.changed()
        return found

    def end(self) -> None:
        """Let every waiting thread go: the agent stops."""
        with self._lock:
            self._ended = True
            self._open.set()

    def wait(self) -> None:
        """Return when it is open."""
        self._open.wait()
