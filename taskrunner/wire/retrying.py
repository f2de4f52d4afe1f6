"""Second tries: one budget a call, with its reason. Only what brought no usable answer is retried.

The loops that call never retry by themselves; the poll is never retried at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from taskrunner.clock import Clock
from taskrunner.errors import ServiceUnreachable
from taskrunner.model.task import Task
from taskrunner.wire.api import RunnerApi, Verdict

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How often and how long a call is tried, and why just so."""

    attempts: int
    #: Longest wait before the second try, in seconds; doubled for each further one up to the cap.
    first_wait_s: float = 0.0
    longest_wait_s: float = 0.0
    reason: str

    def wait_s(self, failures: int, fraction: float) -> float:
        """The wait after so many failures; `fraction` (0 to 1) spreads a fleet's second tries."""
        ceiling: float = min(self.longest_wait_s, self.first_wait_s * 2 ** (failures - 1))
        return ceiling * (0.5 + fraction / 2)


BUDGETS: Mapping[str, Budget] = {
    "PollForTask": Budget(
        attempts=1,
        reason="A poll whose answer was lost may have been given a task; asking again at once "
        "leaves that one to wait for its acknowledgement window and hides the fault from the loop, "
        "which backs off and polls again anyway.",
    ),
    "ReportTaskProgress": Budget(
        attempts=3,
        first_wait_s=1,
        longest_wait_s=4,
        reason="The first report must come within 2 minutes of the hand-out and the lease is 5, so "
        "a short cut is worth bridging; after that the next report is only a minute away, and a "
        "late one must not hold back the news that the lease is in danger.",
    ),
    "SetTaskStatus": Budget(
        attempts=4,
        first_wait_s=1,
        longest_wait_s=8,
        reason="A verdict ends the attempt and frees the slot, so blips are bridged here. Longer "
        "outages are the outbox's: it holds the verdict on disk and sends it again until the "
        "service says yes or superseded.",
    ),
    "ReportTaskRunnerHeartbeat": Budget(
        attempts=2,
        first_wait_s=2,
        longest_wait_s=2,
        reason="Nothing is lost with a heartbeat, it only informs; the next one comes by itself.",
    ),
}


class RetryingRunner:
    """A `RunnerApi` that tries another one's calls again, each within its budget."""

    def __init__(
        self,
        api: RunnerApi,
        *,
        clock: Clock,
        fraction: Callable[[], float],
    ) -> None:
        """`fraction` gives random numbers of 0 to 1."""
        self._api = api
        self._clock = clock
        self._hurried = threading.Event()
        self._fraction = fraction

    def poll_for_task(self, *, worker_group: str, hostname: str) -> Task | None:
        """Wait up to 90 s for a task; None when there was none. One try."""
        return self._api.poll_for_task(worker_group=worker_group, hostname=hostname)

    def hurry(self) -> None:
        """From now on nothing is tried a second time, and waits for that are over."""
        self._hurried.set()

    def give_up_poll(self, worker_group: str) -> None:
        """Have the group's outstanding poll, if there is one, raise CallGivenUp."""
        self._api.give_up_poll(worker_group)

    def report_task_progress(self, task_id: str, fields: Mapping[str, str]) -> bool:
        """Acknowledge or keep a task; true when it is canceled. Raises UnknownTask."""
        return self._within(
            "ReportTaskProgress", lambda: self._api.report_task_progress(task_id, fields)
        )

    def set_task_status(self, task_id: str, verdict: Verdict) -> None:
        """Report the end of a task. Raises UnknownTask when it is superseded."""
        self._within("SetTaskStatus", lambda: self._api.set_task_status(task_id, verdict))

    def report_task_runner_heartbeat(
        self, *, taskrunner_id: str, worker_group: str, hostname: str
    ) -> bool:
        """Say that the runner lives; true when it is asked to terminate."""
        return self._within(
            "ReportTaskRunnerHeartbeat",
            lambda: self._api.report_task_runner_heartbeat(
                taskrunner_id=taskrunner_id, worker_group=worker_group, hostname=hostname
            ),
        )

    def _within(self, operation: str, call: Callable[[], T]) -> T:
        budget = BUDGETS[operation]
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ServiceUnreachable),
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(budget.attempts),
                tenacity.stop_when_event_set(self._hurried),
            ),
            wait=lambda state: budget.wait_s(state.attempt_number, self._fraction()),
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(call)

    def _sleep(self, seconds: float) -> None:
        self._clock.wait(self._hurried, seconds)
