from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from taskrunner.errors import (
    CallRefused,
    NotAuthorized,
    ServiceUnreachable,
    UnknownTask,
    WireError,
)
from taskrunner.wire.api import R, Request
from taskrunner.wire.budgets import budget_of
from taskrunner.wire.inputs import ListPipelinesInput
from taskrunner.wire.retrying import RetryingCalls
from taskrunner.wire.runner_messages import (
    PollForTaskInput,
    PollForTaskOutput,
    ReportTaskProgressInput,
    ReportTaskProgressOutput,
    ReportTaskRunnerHeartbeatInput,
    SetTaskStatusInput,
    SetTaskStatusOutput,
)
from tests.unit.wire.fakes import FixedClock

GONE = ServiceUnreachable("gone")


class FailingCalls:
    """Raises the given errors in turn, then succeeds."""

    def __init__(self, *errors: WireError) -> None:
        self.errors = list(errors)
        self.calls = 0

    def call(self, request: Request[R]) -> R:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        reply: R = REPLIES[type(request)]
        return reply


REPLIES: Mapping[type, Any] = {
    PollForTaskInput: PollForTaskOutput(),
    ReportTaskProgressInput: ReportTaskProgressOutput(canceled=True),
    SetTaskStatusInput: SetTaskStatusOutput(),
}
REQUESTS: Mapping[str, Request[Any]] = {
    "PollForTask": PollForTaskInput(worker_group="g"),
    "ReportTaskProgress": ReportTaskProgressInput(task_id="t"),
    "SetTaskStatus": SetTaskStatusInput(task_id="t", task_status="FINISHED"),
    "ReportTaskRunnerHeartbeat": ReportTaskRunnerHeartbeatInput(taskrunner_id="r"),
    "ListPipelines": ListPipelinesInput(),
}


def retrying(inner: FailingCalls) -> tuple[RetryingCalls, FixedClock]:
    clock = FixedClock()
    return RetryingCalls(inner.call, clock=clock, fraction=lambda: 1.0), clock


@pytest.mark.parametrize("operation", REQUESTS)
def test_each_call_is_tried_as_often_as_its_budget_says(operation: str) -> None:
    inner = FailingCalls(*[GONE] * 10)
    runner, _ = retrying(inner)

    with pytest.raises(ServiceUnreachable):
        runner.call(REQUESTS[operation])

    assert inner.calls == budget_of(operation).attempts
    assert budget_of(operation).reason


def test_a_call_that_succeeds_in_the_end_returns_its_answer() -> None:
    inner = FailingCalls(GONE, GONE)
    runner, clock = retrying(inner)

    assert runner.call(ReportTaskProgressInput(task_id="t")).canceled is True
    assert clock.waits == [1, 2]


@pytest.mark.parametrize(
    "error",
    [
        NotAuthorized("no", code="AccessDeniedException"),
        UnknownTask("gone", code="TaskNotFoundException"),
        CallRefused("bad", code="InvalidRequestException"),
    ],
)
def test_a_refusal_is_final(error: CallRefused) -> None:
    inner = FailingCalls(error)
    runner, clock = retrying(inner)

    with pytest.raises(type(error)):
        runner.call(REQUESTS["SetTaskStatus"])

    assert inner.calls == 1
    assert clock.waits == []


def test_nothing_is_tried_again_once_the_agent_must_go() -> None:
    inner = FailingCalls(GONE, GONE)
    runner, _ = retrying(inner)
    runner.hurry()

    with pytest.raises(ServiceUnreachable):
        runner.call(REQUESTS["ReportTaskProgress"])

    assert inner.calls == 1
