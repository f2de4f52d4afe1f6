"""ReportTaskRunnerHeartbeat: the agent tells that it lives, and may be asked to end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from taskrunner.clock import Clock
from taskrunner.errors import WireError
from taskrunner.logs import get_logger
from taskrunner.wire.runner import RunnerApi

log = get_logger()


class Heartbeat:
    """One beat for each worker group at every interval, until the process ends."""

    def __init__(
        self,
        api: RunnerApi,
        groups: Sequence[str],
        *,
        taskrunner_id: str,
        hostname: str,
        interval_s: float,
        on_terminate: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._api = api
        self._groups = groups
        self._taskrunner_id = taskrunner_id
        self._hostname = hostname
        self._interval_s = interval_s
        self._on_terminate = on_terminate
        self._clock = clock
        self._woken = threading.Event()

    def wake(self) -> None:
        """Beat now: there is news, such as a pause, or the loop is to see that it ends."""
        self._woken.set()

    def loop(
        self, closing: threading.Event, after_first: Callable[[], None] = lambda: None
    ) -> None:
        """Beat now, at the interval and when woken; goes on through a drain."""
        self.tick()
        after_first()
        while not closing.is_set():
            self._clock.wait(self._woken, self._interval_s)
            self._woken.clear()
            if not closing.is_set():
                self.tick()

    def tick(self) -> None:
        """One round. A beat that fails costs nothing: tasks are kept by their own reports."""
        for group in self._groups:
            try:
                terminate = self._api.report_task_runner_heartbeat(
                    taskrunner_id=self._taskrunner_id,
                    worker_group=group,
                    hostname=self._hostname,
                )
            except WireError as error:
                log.debug("heartbeat failed", worker_group=group, error=str(error))
                continue
            if terminate:
                self._on_terminate()
