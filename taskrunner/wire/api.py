"""The four operations that a task runner needs, typed, as its consumers see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from taskrunner.model.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceIdentity:
    """The signed identity document of an EC2 instance, sent with a poll."""

    document: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How an attempt ended, as SetTaskStatus takes it."""

    #: FINISHED, FAILED, or FALSE (a precondition that does not hold).
    status: str
    error_id: str | None = None
    error_message: str | None = None
    error_stack_trace: str | None = None


class RunnerApi(Protocol):
    """Calls of a runner. Each raises ServiceUnreachable, NotAuthorized or another CallRefused."""

    def poll_for_task(self, *, worker_group: str, hostname: str) -> Task | None:
        """Wait up to 90 s for a task; None when there was none. Never retried by itself.

        A worker group has one poll at a time. Raises CallGivenUp when it is given up meanwhile.
        """
        ...

    def give_up_poll(self, worker_group: str) -> None:
        """Have the group's outstanding poll, if there is one, raise CallGivenUp; any thread's."""
        ...

    def hurry(self) -> None:
        """From now on no call is tried a second time: the agent must go."""
        ...

    def report_task_progress(self, task_id: str, fields: Mapping[str, str]) -> bool:
        """Acknowledge or keep a task; true when it is canceled. Raises UnknownTask."""
        ...

    def set_task_status(self, task_id: str, verdict: Verdict) -> None:
        """Report the end of a task. Raises UnknownTask when it is superseded."""
        ...

    def report_task_runner_heartbeat(
        self, *, taskrunner_id: str, worker_group: str, hostname: str
    ) -> bool:
        """Say that the runner lives; true when it is asked to terminate."""
        ...
