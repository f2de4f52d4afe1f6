"""The typed requests and replies of a runner's four operations.

They stand apart from the other fifteen, which an agent never sends: to make a class of each would
be a twentieth of its start.
"""

from __future__ import annotations

from dataclasses import dataclass

from taskrunner.model.document import Field
from taskrunner.model.task import Task
from taskrunner.wire.api import InstanceIdentity, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class PollForTaskOutput:
    """A task, or none."""

    task_object: Task | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTaskProgressOutput:
    """Whether the runner is to stop the task, without a verdict."""

    canceled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTaskRunnerHeartbeatOutput:
    """Whether the runner is to terminate."""

    terminate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTaskStatusOutput:
    """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollForTaskInput(Request[PollForTaskOutput]):
    """Wait up to 90 s for a task of a worker group."""

    worker_group: str
    hostname: str | None = None
    instance_identity: InstanceIdentity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTaskProgressInput(Request[ReportTaskProgressOutput]):
    """Acknowledge a task, or keep it."""

    task_id: str
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTaskRunnerHeartbeatInput(Request[ReportTaskRunnerHeartbeatOutput]):
    """Say that a runner lives."""

    taskrunner_id: str
    worker_group: str | None = None
    hostname: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTaskStatusInput(Request[SetTaskStatusOutput]):
    """The verdict of an attempt: FINISHED, FAILED, or FALSE from a precondition."""

    task_id: str
    task_status: str
    error_id: str | None = None
    error_message: str | None = None
    error_stack_trace: str | None = None
