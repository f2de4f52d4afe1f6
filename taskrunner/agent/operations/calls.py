"""The calls of the API as the agent's operators see them: counted, the polls remembered.

Here too is the one place where a refusal of the credentials, by whichever call, ends the agent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from taskrunner.agent.operations.metrics import Counters
from taskrunner.clock import Clock
from taskrunner.errors import (
    CallGivenUp,
    CallRefused,
    NotAuthorized,
    ServiceUnreachable,
    UnknownTask,
)
from taskrunner.model.task import Task
from taskrunner.wire.api import RunnerApi, Verdict

#: The first that fits counts: some derive from others.
_OUTCOMES: Mapping[type[Exception], str] = {
    NotAuthorized: "not_authorized",
    UnknownTask: "unknown_task",
    CallRefused: "refused",
    ServiceUnreachable: "unreachable",
    CallGivenUp: "given_up",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PollState:
    """The last poll of a worker group that ended; times on the monotonic clock, in seconds."""

    outcome: str
    ended: float
    ended_at: datetime
    #: What was wrong, if anything was.
    error: str | None = None
    #: When one was last answered; None: not yet.
    answered_last: float | None = None

    @property
    def answered(self) -> bool:
        """Whether the service gave work, or said that there is none."""
        return self.error is None


class WatchedApi:
    """A `RunnerApi` that passes each call on and takes note."""

    def __init__(
        self,
        api: RunnerApi,
        *,
        clock: Clock,
        counters: Counters,
        on_not_authorized: Callable[[NotAuthorized], None],
    ) -> None:
        self._api = api
        self._clock = clock
        self._counters = counters
        self._on_not_authorized = on_not_authorized
        #: By worker group. Replaced as a whole for each group, so reading needs no lock.
        self.polls: dict[str, PollState] = {}
        #: By worker group: since when a poll is under way, on the monotonic clock.
        self.asking: dict[str, float] = {}

    def poll_for_task(self, *, worker_group: str, hostname: str) -> Task | None:
        """Wait up to 90 s for a task; None when there was none."""
        started = self._clock.monotonic()
        error: str | None = None
        outcome = "empty"
        self.asking[worker_group] = started
        try:
            with self._noted("PollForTask"):
                task = self._api.poll_for_task(worker_group=worker_group, hostname=hostname)
            outcome = "task" if task else "empty"
        except Exception as failure:
            outcome, error = _outcome(failure), str(failure)
            raise
        finally:
            del self.asking[worker_group]
            self._note_poll(worker_group, outcome, error, started)
        return task

    def hurry(self) -> None:
        """From now on no call is tried a second time."""
        self._api.hurry()

    def give_up_poll(self, worker_group: str) -> None:
        """Have the group's outstanding poll, if there is one, raise CallGivenUp."""
        self._api.give_up_poll(worker_group)

    def report_task_progress(self, task_id: str, fields: Mapping[str, str]) -> bool:
        """Acknowledge or keep a task; true when it is canceled. Raises UnknownTask."""
        with self._noted("ReportTaskProgress"):
            return self._api.report_task_progress(task_id, fields)

    def set_task_status(self, task_id: str, verdict: Verdict) -> None:
        """Report the end of a task. Raises UnknownTask when it is superseded."""
        with self._noted("SetTaskStatus"):
            self._api.set_task_status(task_id, verdict)

    def report_task_runner_heartbeat(
        self, *, taskrunner_id: str, worker_group: str, hostname: str
    ) -> bool:
        """Say that the runner lives; true when it is asked to terminate."""
        with self._noted("ReportTaskRunnerHeartbeat"):
            return self._api.report_task_runner_heartbeat(
                taskrunner_id=taskrunner_id, worker_group=worker_group, hostname=hostname
            )

    @contextmanager
    def _noted(self, operation: str) -> Iterator[None]:
        outcome = "ok"
        try:
            yield
        except Exception as error:
            outcome = _outcome(error)
            if isinstance(error, NotAuthorized):
                self._on_not_authorized(error)
            raise
        finally:
            self._counters.add("taskrunner_api_calls_total", operation=operation, outcome=outcome)

    def _note_poll(self, group: str, outcome: str, error: str | None, started: float) -> None:
        now = self._clock.monotonic()
        self._counters.add("taskrunner_polls_total", worker_group=group, outcome=outcome)
        self._counters.add("taskrunner_poll_seconds_total", now - started, worker_group=group)
        if outcome == _OUTCOMES[CallGivenUp]:
            return  # it says nothing of the service
        before = self.polls.get(group)
        last = before.answered_last if before is not None else None
        self.polls[group] = PollState(
            outcome=outcome,
            ended=now,
            ended_at=self._clock.now(),
            error=error,
            answered_last=now if error is None else last,
        )


def _outcome(error: Exception) -> str:
    return next((name for kind, name in _OUTCOMES.items() if isinstance(error, kind)), "error")
