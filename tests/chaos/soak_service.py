"""A service for long runs: it makes up tasks of all kinds and holds the agent to its promises.

It is the runner's four calls over real HTTP, as the harness has them, with a ledger in place of
the record of every call: a hand-out that is not acknowledged is made again under a fresh id.
"""

from __future__ import annotations

import collections
import itertools
import queue
import random
import select
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from taskrunner.clock import SystemClock
from tests.integration.agent_harness import FakeService, task_json

#: Kind of task -> (share in a thousand, command, status that must come of it).
KINDS: dict[str, tuple[int, str, str | None]] = {
    "short": (760, "echo done", "FINISHED"),
    "failing": (100, "echo about to fail >&2; exit 3", "FAILED"),
    "talkative": (40, "head -c 200000 /dev/zero | tr '\\0' x | fold -w 100", "FINISHED"),
    "slow": (60, "sleep 0.5", "FINISHED"),
    "canceled": (20, "sleep 60", None),
    "stray": (10, "setsid sleep 60 >/dev/null 2>&1 & echo left a child", "FINISHED"),
    "timeout": (5, "sleep 60", "FAILED"),
    "malformed": (5, "", "FAILED"),
}
_NOT_ACKNOWLEDGED_S = 2.0
_LONGEST_POLL_S = 0.5


@dataclass(slots=True)
class _Open:
    """A task that has no end yet."""

    number: int
    kind: str
    handed_out: float
    acknowledged: bool = False


class SoakService(FakeService):
    """Gives out `total` tasks; `wait_done` returns when each has its end."""

    def __init__(self, total: int, chance: random.Random) -> None:
        self._total = total
        self._chance = chance
        self._clock = SystemClock()
        self._ids = itertools.count(1)
        self._queue: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        self._ledger = threading.Condition()
        self._open: dict[str, _Open] = {}
        self._next = 0
        #: Ends by kind and status, and everything else that happened, by name.
        self.seen: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self.done = 0
        self._connections: set[socket.socket] = set()
        self._hung_up = False
        self._told: set[tuple[str, str | None]] = set()
        super().__init__()
        # Connections that are cut are what this is for.
        self._server.handle_error = lambda _request, _address: None  # type: ignore[method-assign,assignment,misc]

    def hang_up_for(self, seconds: float, over: threading.Event) -> None:
        """Restart: every connection ends at once, and new ones too for a while."""
        self._hung_up = True
        connections, self._connections = self._connections, set()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._clock.wait(over, seconds)
        self._hung_up = False
        self.seen["restarts"] += 1

    def wait_done(self, number: int, patience_s: float) -> None:
        """Wait until so many tasks have ended."""
        with self._ledger:
            assert self._ledger.wait_for(lambda: self.done >= number, patience_s), (
                f"{self.done} of {number} tasks ended; open: {list(self._open.values())[:5]}"
            )

    def _answer(
        self, operation: str, body: dict[str, Any], connection: socket.socket
    ) -> tuple[int, dict[str, Any]]:
        self.seen[operation] += 1
        self._connections.add(connection)
        if self._hung_up:
            connection.shutdown(socket.SHUT_RDWR)
        if operation in self.down:
            self.seen["unavailable"] += 1
            return 503, {"__type": "ServiceUnavailable", "message": "later"}
        if operation == "PollForTask":
            return 200, self._hand_out(connection)
        if operation == "ReportTaskRunnerHeartbeat":
            return 200, {"terminate": False}
        with self._ledger:
            return self._report(operation, body["taskId"], body.get("taskStatus"))

    def _report(
        self, operation: str, task_id: str, status: str | None
    ) -> tuple[int, dict[str, Any]]:
        task = self._open.get(task_id)
        if task is None:
            # The same report again: the answer to the first was cut off.
            if operation == "SetTaskStatus" and (task_id, status) in self._told:
                return 200, {}
            return 400, {"__type": "TaskNotFoundException", "message": "superseded"}
        if operation == "ReportTaskProgress":
            return 200, {"canceled": self._progress(task_id, task)}
        self._told.add((task_id, status))
        self._ended(task_id, task, status)
        return 200, {}

    def _hand_out(self, connection: socket.socket) -> dict[str, Any]:
        until = self._clock.monotonic() + self._chance.uniform(0.1, _LONGEST_POLL_S)
        if self._chance.random() < 0.002:
            # An agent that is quick finds work at every other poll.
            self._clock.wait(self._stop, 0.2)
            self.seen["empty polls"] += 1
            return {}
        while not self._stop.is_set() and not select.select([connection], [], [], 0)[0]:
            if (task := self._take()) is not None:
                return {"taskObject": task}
            if self._clock.monotonic() > until:
                self.seen["empty polls"] += 1
                break
            self._clock.wait(self._stop, 0.02)
        return {}

    def _take(self) -> dict[str, Any] | None:
        with self._ledger:
            self._expire()
            if self._chance.random() < 0.01:
                return None  # now and then a poll waits although there is work
            if not self._queue.empty():
                number, kind = self._queue.get()
            elif self._next < self._total:
                self._next += 1
                shares = [share for share, _, _ in KINDS.values()]
                (kind,) = self._chance.choices(list(KINDS), shares)
                number = self._next
            else:
                return None
            task_id = f"soak-{next(self._ids)}"
            self._open[task_id] = _Open(number, kind, self._clock.monotonic())
        fields = {"attemptTimeout": "1 second"} if kind == "timeout" else {}
        task = task_json(task_id, KINDS[kind][1], fields=fields)
        return _renamed(task, f"@Work_{number}_Attempt=1")

    def _expire(self) -> None:
        """What was handed out and not acknowledged is handed out again."""
        until = self._clock.monotonic() - _NOT_ACKNOWLEDGED_S
        late = [i for i, t in self._open.items() if not t.acknowledged and t.handed_out < until]
        for task_id in late:
            task = self._open.pop(task_id)
            self._queue.put((task.number, task.kind))
            self.seen["handed out again"] += 1

    def _progress(self, task_id: str, task: _Open) -> bool:
        first, task.acknowledged = not task.acknowledged, True
        if task.kind != "canceled" or first:
            return False
        self._ended(task_id, task, None)
        return True

    def _ended(self, task_id: str, task: _Open, status: str | None) -> None:
        del self._open[task_id]
        wanted = KINDS[task.kind][2]
        if status != wanted:
            self.wrong.append(f"{task.kind} ended as {status}, wanted {wanted}")
        self.seen[f"{task.kind} tasks"] += 1
        self.done += 1
        self._ledger.notify_all()


def _renamed(task: dict[str, Any], attempt_id: str) -> dict[str, Any]:
    """The task under an attempt id of its own: its logs are not to lie over another's."""
    objects = task["objects"]
    content = objects.pop(task["attemptId"])
    objects[attempt_id] = {**content, "id": attempt_id, "name": attempt_id}
    return {**task, "attemptId": attempt_id, "objects": objects}
