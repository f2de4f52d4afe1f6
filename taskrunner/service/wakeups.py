"""Waking polls that wait for work of a group: in this process, and in the service's others."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.service.store.notices import notify

#: PostgreSQL takes notices of up to 8,000 bytes; longer names of groups go by their digest.
_LONGEST_TOPIC = 1000


def topic_of(worker_group: str) -> str:
    """What a group is called in notices."""
    raw = worker_group.encode("utf-8", "surrogatepass")
    if len(raw) <= _LONGEST_TOPIC:
        return worker_group
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One process's news that a group has work."""

    #: Which process says so; it does not listen to itself.
    origin: str
    #: From when on the work may be claimed, by the teller's clock.
    at: float
    topic: str

    def __str__(self) -> str:
        return f"{self.origin} {self.at:.6f} {self.topic}"

    @classmethod
    def parse(cls, text: str) -> Notice | None:
        """The inverse of `str`; None for what somebody else may have put on the channel."""
        origin, _, rest = text.partition(" ")
        at, space, topic = rest.partition(" ")
        try:
            return cls(origin=origin, at=float(at), topic=topic) if space else None
        except ValueError:
            return None


class WorkReady:
    """Tells waiting polls that their worker group may have work. A call may be spurious."""

    def __init__(self) -> None:
        self.origin = secrets.token_hex(8)
        self._waiting: dict[str, set[Callable[[], None]]] = {}
        self._lock = threading.Lock()

    def subscribe(self, worker_group: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback`, from any thread, when the group may have work; returns the undo."""
        topic = topic_of(worker_group)
        with self._lock:
            self._waiting.setdefault(topic, set()).add(callback)

        def unsubscribe() -> None:
            with self._lock:
                held = self._waiting.get(topic, set())
                held.discard(callback)
                if not held:
                    self._waiting.pop(topic, None)

        return unsubscribe

    def tell(self, conn: Connection, worker_groups: Iterable[str], now: datetime) -> None:
        """Let the service's other processes know of these groups once the transaction commits."""
        at = now.timestamp()
        topics = map(topic_of, worker_groups)
        notify(conn, [str(Notice(origin=self.origin, at=at, topic=topic)) for topic in topics])

    def announce(self, worker_groups: Iterable[str]) -> None:
        """Wake whoever waits in this process for one of these groups."""
        self.wake(map(topic_of, worker_groups))

    def wake(self, topics: Iterable[str]) -> None:
        """The same, by the groups' names in notices."""
        with self._lock:
            callbacks = [call for topic in topics for call in self._waiting.get(topic, ())]
        for call in callbacks:
            call()

    def wake_all(self) -> None:
        """Wake whoever waits in this process: something may have been missed."""
        with self._lock:
            topics = list(self._waiting)
        self.wake(topics)
