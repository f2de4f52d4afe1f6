"""A service that is told with each poll which EC2 instance asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from taskrunner.model.task import Task
from taskrunner.wire.api import InstanceIdentity, RunnerApi, Verdict

__all__ = ["IdentifiedRunner"]


class IdentifiedRunner:
    """A `RunnerApi` whose polls carry the instance's identity as soon as that is known."""

    def __init__(self, api: RunnerApi, identity: Callable[[], InstanceIdentity | None]) -> None:
        self._api = api
        self._identity = identity

    def poll_for_task(
        self, *, worker_group: str, hostname: str, identity: InstanceIdentity | None = None
    ) -> Task | None:
        """Wait up to 90 s for a task; None when there was none. Never retried by itself."""
        return self._api.poll_for_task(
            worker_group=worker_group, hostname=hostname, identity=identity or self._identity()
        )

    def hurry(self) -> None:
        """From now on no call is tried a second time."""
        self._api.hurry()

    def give_up_poll(self, worker_group: str) -> None:
        """Have the group's outstanding poll, if there is one, raise CallGivenUp."""
        self._api.give_up_poll(worker_group)

    def report_task_progress(self, task_id: str, fields: Mapping[str, str]) -> bool:
        """Acknowledge or keep a task; true when it is canceled. Raises UnknownTask."""
        return self._api.report_task_progress(task_id, fields)

    def set_task_status(self, task_id: str, verdict: Verdict) -> None:
        """Report the end of a task. Raises UnknownTask when it is superseded."""
        self._api.set_task_status(task_id, verdict)

    def report_task_runner_heartbeat(
        self, *, taskrunner_id: str, worker_group: str, hostname: str
    ) -> bool:
        """Say that the runner lives; true when it is asked to terminate."""
        return self._api.report_task_runner_heartbeat(
            taskrunner_id=taskrunner_id, worker_group=worker_group, hostname=hostname
        )
