"""What was done and seen in a run, as lines of JSON that are looked into when it went wrong."""

from __future__ import annotations

import collections
import json
import threading
from pathlib import Path

from taskrunner.clock import SystemClock


class History:
    """Events with their moments, monotonic and wall; from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: collections.Counter[str] = collections.Counter()
        self._clock = SystemClock()
        self._lock = threading.Lock()
        self._file = path.open("a", buffering=1)

    def add(self, event: str, **facts: object) -> None:
        """Note an event, and count its kind."""
        line = {"mono": round(self._clock.monotonic(), 4), "at": self.now(), "event": event}
        with self._lock:
            self.counts[event] += 1
            if not self._file.closed:
                self._file.write(json.dumps({**line, **facts}, default=str) + "\n")

    def now(self) -> float:
        """The wall clock as the store's triggers and the tasks read it."""
        return round(self._clock.now().timestamp(), 4)

    def close(self) -> None:
        """Nothing more will be noted."""
        with self._lock:
            self._file.close()
