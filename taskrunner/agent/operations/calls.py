"""The calls of the API as the agent's operators see them: counted, the polls remembered.

Here too is the one place where a refusal of the credentials, by whichever call, ends the agent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from taskrunner.clock import Clock
from taskrunner.errors import (
    CallGivenUp,
    CallRefused,
    NotAuthorized,
    ServiceUnreachable,
    UnknownTask,
)
from taskrunner.metrics import Counters
from taskrunner.wire.api import Call, R, Request, operation_of
from taskrunner.wire.runner_messages import PollForTaskInput, PollForTaskOutput

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


class WatchedCalls:
    """Passes each call on and takes note."""

    def __init__(
        self,
        call: Call,
        *,
        clock: Clock,
        counters: Counters,
        on_not_authorized: Callable[[NotAuthorized], None],
        on_first_answer: Callable[[], None] = lambda: None,
    ) -> None:
        self._call = call
        self._clock = clock
        self._counters = counters
        self._on_not_authorized = on_not_authorized
        self._on_first_answer = on_first_answer
        #: Taken, for good, by the first call that is answered.
        self._first_answer = threading.Lock()
        #: By worker group. Replaced as a whole for each group, so reading needs no lock.
        self.polls: dict[str, PollState] = {}
        #: By worker group: since when a poll is under way, on the monotonic clock.
        self.asking: dict[str, float] = {}

    def call(self, request: Request[R]) -> R:
        """The reply, or the error, of the call that is watched."""
        poll = request if isinstance(request, PollForTaskInput) else None
        started = self._clock.monotonic()
        if poll is not None:
            self.asking[poll.worker_group] = started
        reply: R | None = None
        failure: Exception | None = None
        try:
            reply = self._call(request)
        except Exception as error:
            failure = error
            raise
        finally:
            self._note(operation_of(request), failure)
            if poll is not None:
                self._note_poll(poll.worker_group, reply, failure, started)
        return reply

    def _note(self, operation: str, failure: Exception | None) -> None:
        if isinstance(failure, NotAuthorized):
            self._on_not_authorized(failure)
        if failure is None and self._first_answer.acquire(blocking=False):
            self._on_first_answer()
        outcome = "ok" if failure is None else _outcome(failure)
        self._counters.add("taskrunner_api_calls_total", operation=operation, outcome=outcome)

    def _note_poll(
        self, group: str, reply: object, failure: Exception | None, started: float
    ) -> None:
        del self.asking[group]
        now = self._clock.monotonic()
        given = isinstance(reply, PollForTaskOutput) and reply.task_object is not None
        outcome = _outcome(failure) if failure else "task" if given else "empty"
        self._counters.add("taskrunner_polls_total", worker_group=group, outcome=outcome)
        self._counters.add("taskrunner_poll_seconds_total", now - started, worker_group=group)
        if isinstance(failure, CallGivenUp):
            return  # it says nothing of the service
        before = self.polls.get(group)
        last = before.answered_last if before is not None else None
        self.polls[group] = PollState(
            outcome=outcome,
            ended=now,
            ended_at=self._clock.now(),
            error=str(failure) if failure else None,
            answered_last=last if failure else now,
        )


def _outcome(error: Exception) -> str:
    return next((name for kind, name in _OUTCOMES.items() if isinstance(error, kind)), "error")
