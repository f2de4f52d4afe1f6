"""The tasks that run now, for status and metrics: type, start and progress."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from taskrunner.agent.journal.journal import Entry
from taskrunner.clock import Clock
from taskrunner.errors import ErrorId
from taskrunner.metrics import Counters
from taskrunner.model.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTask:
    """One running task."""

    task: Task
    entry: Entry
    since: datetime
    #: The same moment on the monotonic clock.
    started: float

    @property
    def type(self) -> str:
        """The object type of the task; empty for a malformed one."""
        found = self.task.objects.get(self.task.attempt_id)
        return str(found.type or "unknown") if found else "unknown"


class RunningTasks:
    """Keeps the running tasks and counts the ended ones; safe for threads."""

    def __init__(self, clock: Clock, counters: Counters) -> None:
        self._clock = clock
        self._counters = counters
        self._lock = threading.Lock()
        self._posted: dict[str, RunningTask] = {}

    @contextmanager
    def post(self, task: Task, entry: Entry) -> Iterator[None]:
        """Show a task for as long as the block takes."""
        clock = self._clock
        running = RunningTask(task=task, entry=entry, since=clock.now(), started=clock.monotonic())
        with self._lock:
            self._posted[entry.token] = running
        self._counters.add("taskrunner_tasks_started_total", type=running.type)
        try:
            yield
        finally:
            with self._lock:
                del self._posted[entry.token]
            self._count(running)

    def running(self) -> list[RunningTask]:
        """What runs now, oldest first."""
        with self._lock:
            return list(self._posted.values())

    def _count(self, running: RunningTask) -> None:
        verdict = running.entry.verdict
        result = verdict.status if verdict else "GIVEN_UP"
        error_id = (verdict.error_id if verdict else None) or ""
        took = self._clock.monotonic() - running.started
        self._counters.add(
            "taskrunner_tasks_ended_total", type=running.type, result=result, error_id=error_id
        )
        self._counters.add("taskrunner_task_seconds_total", took, type=running.type)
        if error_id == ErrorId.LEASE_LOST:
            self._counters.add("taskrunner_leases_lost_total")
