"""What operators have told agents to do: to take no work for a while, or to finish and end.

AWS's wire has two ways to tell a runner something. A poll is answered without a task, which is what
pausing does; a heartbeat is answered with `terminate: true`, which ends the runner once its tasks
have ended. A drained agent gets no more work from the moment on at which it is drained, and hears
that it is to end at its next heartbeat. An agent is known by its own name for itself, which nobody
checks: who lies about it can only escape an order that is meant for it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from taskrunner.clock import Clock
from taskrunner.service.store import agent_orders as order_store
from taskrunner.service.store.database import Store

#: Another process of the service knows of an order after so many seconds.
KNOWN_FOR_S = 1.0


class Order(StrEnum):
    """What an agent is told."""

    PAUSE = "PAUSE"  # take no work
    DRAIN = "DRAIN"  # take no work, finish what runs, and end


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An order that somebody has given."""

    order: Order
    until: datetime | None

    def holds(self, now: datetime) -> bool:
        """Whether it counts at this moment."""
        return self.until is None or now < self.until


class Knows(Protocol):
    """Knows of orders: `AgentOrders`."""

    def takes_no_work(self, account: str, runner_id: str) -> bool:
        """Whether a runner is paused or drained."""
        ...


class AgentOrders:
    """The orders that count, held for a moment; safe for threads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._known: Mapping[tuple[str, str], Given] = {}
        self._until: float | None = None

    def takes_no_work(self, account: str, runner_id: str) -> bool:
        """Whether a runner is paused or drained. Raises StoreError."""
        return self._of(account, runner_id) is not None

    def is_to_end(self, account: str, runner_id: str) -> bool:
        """Whether a runner is to end once its tasks have ended. Raises StoreError."""
        given = self._of(account, runner_id)
        return given is not None and given.order is Order.DRAIN

    def forget(self) -> None:
        """Look anew: an order was given or taken back."""
        with self._lock:
            self._until = None

    def _of(self, account: str, runner_id: str) -> Given | None:
        given = self._current().get((account, runner_id))
        return given if given is not None and given.holds(self._clock.now()) else None

    def _current(self) -> Mapping[tuple[str, str], Given]:
        now = self._clock.monotonic()
        with self._lock:
            if self._until is not None and now < self._until:
                return self._known
        with self._store.read() as conn:
            rows = order_store.load_ordered(conn)
        found = {
            (row.account, row.runner_id): Given(order=Order(row.ordered), until=row.ordered_until)
            for row in rows
            if row.ordered is not None
        }
        with self._lock:
            self._known, self._until = found, now + KNOWN_FOR_S
        return found
