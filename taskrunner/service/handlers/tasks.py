"""The operations of runners."""

from __future__ import annotations

from taskrunner.errors import InvalidRequest
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.runner_operations import Keep
from taskrunner.wire.runner_messages import (
    PollForTaskInput,
    PollForTaskOutput,
    ReportTaskProgressInput,
    ReportTaskProgressOutput,
    ReportTaskRunnerHeartbeatInput,
    ReportTaskRunnerHeartbeatOutput,
    SetTaskStatusInput,
    SetTaskStatusOutput,
)


def poll_for_task(
    service: Service, caller: Caller, request: PollForTaskInput, keep: Keep | None = None
) -> PollForTaskOutput:
    """Hand out a task if one is ready now; waiting for one is the app's business."""
    task = service.claim(request.worker_group, request.hostname, caller, keep=keep)
    if task is not None:
        service.meters.handed_out(request.worker_group)
    return PollForTaskOutput(task_object=task)


def report_task_progress(
    service: Service, caller: Caller, request: ReportTaskProgressInput
) -> ReportTaskProgressOutput:
    """Acknowledge a task, or keep it."""
    fields = {field.key: str(field.value) for field in request.fields}
    canceled = service.report_progress(request.task_id, fields, caller)
    return ReportTaskProgressOutput(canceled=canceled)


def set_task_status(
    service: Service, caller: Caller, request: SetTaskStatusInput
) -> SetTaskStatusOutput:
    """Take a verdict."""
    if (request.error_id or "").startswith("Service_"):
        raise InvalidRequest("errorId must not start with Service_: these are the service's own")
    service.set_task_status(
        request.task_id,
        request.task_status.upper(),
        request.error_id,
        request.error_message,
        request.error_stack_trace,
        caller,
    )
    service.meters.add("taskrunner_verdicts_total", status=request.task_status.upper())
    return SetTaskStatusOutput()


def report_task_runner_heartbeat(
    service: Service, caller: Caller, request: ReportTaskRunnerHeartbeatInput
) -> ReportTaskRunnerHeartbeatOutput:
    """Note that a runner lives."""
    terminate = service.heartbeat(
        request.taskrunner_id, request.worker_group, request.hostname, caller
    )
    return ReportTaskRunnerHeartbeatOutput(terminate=terminate)
