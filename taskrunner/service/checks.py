"""Preconditions that the service checks itself, as AWS's did: on S3 and DynamoDB, without an agent.

Their attempts wait in the queue of a worker group of the service's own, are claimed there like
those of any other, and end with a verdict like any other: so of several services on one store one
checks, and a check that is lost with its service is made again. Each runs in a thread of its own,
few at a time, and none of them holds the store.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Protocol

from taskrunner.errors import ErrorId, TaskNotFound, TaskrunnerError
from taskrunner.logs import get_logger
from taskrunner.model.task import Task
from taskrunner.service.callers import Caller
from taskrunner.service.settings import CHECKS_GROUP, ServiceSettings
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store.database import Store
from taskrunner.service.wakeups import WorkReady
from taskrunner.wire.api import Verdict

log = get_logger()

#: Checks that are made at a time.
MOST_AT_ONCE = 8
#: How long nothing is looked for unless something is announced, in seconds.
IDLE_S = 30.0
#: How long it is waited when no thread is to be had for a check, in seconds.
NO_THREAD_S = 5.0
#: Who has them handed out; hand-outs of users with other names are not its own.
_USER = "service:preconditions"

#: What a precondition's attempt comes to; raises nothing.
Check = Callable[[Task], Verdict]
#: Runs something in the background. Raises RuntimeError when the host has no thread for it.
Spawn = Callable[[Callable[[], None]], None]


class Handouts(Protocol):
    """The verbs of runners, as the service has them."""

    def claim(self, worker_group: str, hostname: str | None, caller: Caller) -> Task | None:
        """Hand out a task of the group."""
        ...

    def report_progress(self, task_id: str, fields: Mapping[str, str], caller: Caller) -> bool:
        """Acknowledge a task; true: it is not to be done."""
        ...

    def set_task_status(
        self,
        task_id: str,
        status: str,
        error_id: str | None,
        message: str | None,
        stack_trace: str | None,
        caller: Caller,
    ) -> None:
        """Take a verdict."""
        ...


def _in_thread(run: Callable[[], None]) -> None:
    # Nothing waits for it: what a check that hangs was for is handed out again.
    threading.Thread(target=run, name="precondition", daemon=True).start()


class Checks:
    """Takes preconditions out of the queue and has them checked."""

    def __init__(
        self,
        store: Store,
        handouts: Handouts,
        check: Check,
        work_ready: WorkReady,
        *,
        spawn: Spawn = _in_thread,
    ) -> None:
        self._store, self._handouts, self._check, self._spawn = store, handouts, check, spawn
        self._hostname = socket.gethostname()
        self._lock = threading.Lock()
        self._running, self._closed = 0, False
        #: Handed out to us, each with a place taken, and not begun for want of a thread.
        self._to_begin: deque[tuple[Task, Caller]] = deque()
        #: Set when there may be something to do.
        self.wake = threading.Event()
        self._unsubscribe = work_ready.subscribe(CHECKS_GROUP, self.wake.set)

    def step(self, now: datetime) -> float:
        """Begin what is ready, as many as there may be; how long nothing is to be done."""
        if not self._begin():
            return NO_THREAD_S
        with self._store.read() as conn:
            accounts = attempt_store.accounts_with_work(conn, CHECKS_GROUP, now)
        for account in accounts:
            caller = Caller(account=account, user=_USER)
            while self._take_place():
                task = self._claimed(caller)
                if task is None:
                    break
                self._to_begin.append((task, caller))
                if not self._begin():
                    return NO_THREAD_S
        return IDLE_S

    def _begin(self) -> bool:
        """Begin what was handed out to us; false when there is no thread for it.

        What is not begun in time is handed out again, here or to another service: nobody has
        acknowledged it.
        """
        while self._to_begin:
            task, caller = self._to_begin.popleft()
            try:
                self._spawn(partial(self._run, task, caller))
            except RuntimeError as error:
                self._to_begin.appendleft((task, caller))
                log.warning(
                    "a precondition cannot be checked for now",
                    error=str(error),
                    remedy="the limit on the service's threads: TasksMax, ulimit -u",
                    pipeline_id=task.pipeline_id,
                    attempt_id=task.attempt_id,
                )
                return False
        return True

    def close(self) -> None:
        """Hear of no more work, and tell of none: the store may be another service's by then."""
        self._closed = True
        self._unsubscribe()

    def _take_place(self) -> bool:
        with self._lock:
            if self._running >= MOST_AT_ONCE:
                return False
            self._running += 1
            return True

    def _give_place_back(self) -> None:
        with self._lock:
            self._running -= 1

    def _claimed(self, caller: Caller) -> Task | None:
        """A task, for which a place has been taken; without one the place is free again."""
        task = None
        try:
            task = self._handouts.claim(CHECKS_GROUP, self._hostname, caller)
        finally:
            if task is None:
                self._give_place_back()
        return task

    def _run(self, task: Task, caller: Caller) -> None:
        told = {"pipeline_id": task.pipeline_id, "attempt_id": task.attempt_id}
        try:
            self._conclude(task, caller)
        except TaskNotFound:
            log.info("a precondition is no longer asked for", **told)
        except TaskrunnerError as error:
            # Without a verdict it is handed out again when its lease ends.
            log.warning("a precondition's verdict was lost", error=str(error), **told)
        finally:
            self._give_place_back()
            self.wake.set()

    def _conclude(self, task: Task, caller: Caller) -> None:
        if self._handouts.report_progress(task.task_id, {}, caller):
            return
        try:
            verdict = self._check(task)
        except Exception as error:
            log.exception("a precondition could not be checked", attempt_id=task.attempt_id)
            message = f"the service could not check it: {type(error).__name__}: {error}"
            verdict = Verdict(status="FAILED", error_id=ErrorId.INTERNAL, error_message=message)
        if self._closed:
            return
        self._handouts.set_task_status(
            task.task_id,
            verdict.status,
            verdict.error_id,
            verdict.error_message,
            verdict.error_stack_trace,
            caller,
        )


def checks_of(
    store: Store,
    settings: ServiceSettings,
    handouts: Handouts,
    check: Check | None,
    work_ready: WorkReady,
) -> Checks | None:
    """Who checks preconditions, where the service does; what it was given before stays with it."""
    if check is None:
        return None
    if not settings.checks:
        with store.read() as conn:
            if not attempt_store.any_left(conn, CHECKS_GROUP):
                return None
    return Checks(store, handouts, check, work_ready)
