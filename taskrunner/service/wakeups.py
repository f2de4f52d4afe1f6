"""Waking those who wait: polls for work of a group, and the scheduler for something to decide."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

__all__ = ["WorkReady"]


class WorkReady:
    """Tells waiting polls that their worker group may have work. A call may be spurious."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[Callable[[], None]]] = {}
        self._lock = threading.Lock()

    def subscribe(self, worker_group: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback`, from any thread, when the group may have work; returns the undo."""
        with self._lock:
            self._waiting.setdefault(worker_group, set()).add(callback)

        def unsubscribe() -> None:
            with self._lock:
                held = self._waiting.get(worker_group, set())
                held.discard(callback)
                if not held:
                    self._waiting.pop(worker_group, None)

        return unsubscribe

    def announce(self, worker_groups: Iterable[str]) -> None:
        """Wake whoever waits for one of these groups."""
        with self._lock:
            callbacks = [call for group in worker_groups for call in self._waiting.get(group, ())]
        for call in callbacks:
            call()
