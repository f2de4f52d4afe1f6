"""ReportTaskProgress: acknowledges a task, then keeps its lease until the attempt is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from taskrunner.clock import Clock
from taskrunner.errors import ServiceUnreachable, UnknownTask, WireError
from taskrunner.logs import get_logger
from taskrunner.wire.runner import RunnerApi

log = get_logger()

#: A hand-out that is not acknowledged in 2 minutes goes to another runner; stop well before.
_ACKNOWLEDGE_WITHIN_S = 90.0
_RETRY_S = 5.0


class Reporter:
    """What the service last said about one task. The fields are read by the supervisor."""

    def __init__(
        self,
        api: RunnerApi,
        task_id: str,
        *,
        clock: Clock,
        interval_s: float,
        fields: Callable[[], Mapping[str, str]],
        wake: Callable[[], None],
    ) -> None:
        self._api = api
        self._task_id = task_id
        self._clock = clock
        self._interval_s = interval_s
        self._fields = fields
        self._wake = wake
        #: The task was acknowledged, or never will be.
        self._begun = threading.Event()
        self._ended = threading.Event()
        self._failures = 0
        #: What was reported last.
        self._told: Mapping[str, str] = {}
        #: The service wants the work to stop.
        self.canceled = False
        #: The hand-out is not ours any more.
        self.superseded = False
        #: When the report was begun that the service answered last, on the monotonic clock. The
        #: lease may count from then: an answer can be long on its way.
        self.answered_at = clock.monotonic()

    @property
    def lost(self) -> bool:
        """Whether the task was canceled or superseded, so that its work is to end."""
        return self.canceled or self.superseded

    def acknowledge(self, stopping: threading.Event) -> bool:
        """Take the task; false when it is canceled or gone, or could not be taken in time."""
        until = self._clock.monotonic() + _ACKNOWLEDGE_WITHIN_S
        while not (answered := self.tick({})) and self._clock.monotonic() < until:
            if self.lost or self._clock.wait(stopping, _RETRY_S):
                break
        if answered and not self.lost and self._next_s() == 0:
            # The answer was so long on its way that little may be left of the lease.
            self.tick({})
        if answered:
            self._begun.set()
        return answered and not self.lost

    def loop(self) -> None:
        """Report at every interval from the acknowledgement on until the attempt is over.

        A failed report is repeated soon.
        """
        self._begun.wait()
        delay = self._next_s()
        while not (self.lost or self._clock.wait(self._ended, delay)):
            answered = self.tick(self._fields())
            delay = self._next_s() if answered else min(self._interval_s, _RETRY_S)

    def _next_s(self) -> float:
        """How long the next report has time: the interval counts from where the lease does."""
        return max(0.0, self.answered_at + self._interval_s - self._clock.monotonic())

    def report_last(self, names: Iterable[str]) -> None:
        """Report once more where fields of these names were not told yet, or otherwise."""
        fields = self._fields()
        if not self.lost and any(fields.get(name) != self._told.get(name) for name in names):
            self.tick(fields)

    def end(self) -> None:
        """Stop reporting."""
        self._ended.set()
        self._begun.set()

    def tick(self, fields: Mapping[str, str]) -> bool:
        """One report; returns whether the service answered it."""
        begun, self._told = self._clock.monotonic(), fields
        try:
            self.canceled = self._api.report_task_progress(self._task_id, fields)
        except UnknownTask:
            self.superseded = True
        except WireError as error:
            self._failed(error)
            return False
        if self._failures:
            log.info("progress is reported again", failures=self._failures)
            self._failures = 0
        self.answered_at = begun
        if self.lost:
            self._wake()
        return not self.superseded

    def _failed(self, error: WireError) -> None:
        """Log a failed report, but only the first of an outage."""
        self._failures += 1
        if self._failures > 1:
            log.debug("progress not reported", error=str(error))
        elif isinstance(error, ServiceUnreachable):
            log.warning("progress not reported; will try again", error=str(error))
        else:
            log.error("progress refused; will try again", error=str(error))
