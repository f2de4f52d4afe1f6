from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from taskrunner.errors import (
    CallRefused,
    NotAuthorized,
    ServiceUnreachable,
    UnknownTask,
    WireError,
)
from taskrunner.model.task import Task
from taskrunner.wire.api import Verdict
from taskrunner.wire.retrying import BUDGETS, RetryingRunner
from tests.unit.wire.fakes import FixedClock

GONE = ServiceUnreachable("gone")


class FailingRunner:
    """Raises the given errors in turn, then succeeds."""

    def __init__(self, *errors: WireError) -> None:
        self.errors = list(errors)
        self.calls = 0

    def _call(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)

    def poll_for_task(self, *, worker_group: str, hostname: str) -> Task | None:
        self._call()
        return None

    def hurry(self) -> None:
        pass

    def give_up_poll(self, worker_group: str) -> None:
        """Nothing is ever held."""

    def report_task_progress(self, task_id: str, fields: Mapping[str, str]) -> bool:
        self._call()
        return True

    def set_task_status(self, task_id: str, verdict: Verdict) -> None:
        self._call()

    def report_task_runner_heartbeat(
        self, *, taskrunner_id: str, worker_group: str, hostname: str
    ) -> bool:
        self._call()
        return True


CALLS: Mapping[str, Callable[[RetryingRunner], object]] = {
    "PollForTask": lambda r: r.poll_for_task(worker_group="g", hostname="h"),
    "ReportTaskProgress": lambda r: r.report_task_progress("t", {}),
    "SetTaskStatus": lambda r: r.set_task_status("t", Verdict(status="FINISHED")),
    "ReportTaskRunnerHeartbeat": lambda r: r.report_task_runner_heartbeat(
        taskrunner_id="r", worker_group="g", hostname="h"
    ),
}


def retrying(inner: FailingRunner) -> tuple[RetryingRunner, FixedClock]:
    clock = FixedClock()
    return RetryingRunner(inner, clock=clock, fraction=lambda: 1.0), clock


@pytest.mark.parametrize("operation", CALLS)
def test_each_call_is_tried_as_often_as_its_budget_says(operation: str) -> None:
    inner = FailingRunner(*[GONE] * 10)
    runner, _ = retrying(inner)

    with pytest.raises(ServiceUnreachable):
        CALLS[operation](runner)

    assert inner.calls == BUDGETS[operation].attempts
    assert BUDGETS[operation].reason


def test_a_poll_is_never_tried_again() -> None:
    assert BUDGETS["PollForTask"].attempts == 1


def test_a_call_that_succeeds_in_the_end_returns_its_answer() -> None:
    inner = FailingRunner(GONE, GONE)
    runner, clock = retrying(inner)

    assert runner.report_task_progress("t", {}) is True
    assert clock.waits == [1, 2]


def test_waits_double_up_to_the_cap_and_are_spread() -> None:
    budget = BUDGETS["SetTaskStatus"]

    assert [budget.wait_s(n, 1.0) for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 8, 8]
    assert [budget.wait_s(n, 0.0) for n in (1, 2)] == [0.5, 1.0]


@pytest.mark.parametrize(
    "error",
    [
        NotAuthorized("no", code="AccessDeniedException"),
        UnknownTask("gone", code="TaskNotFoundException"),
        CallRefused("bad", code="InvalidRequestException"),
    ],
)
def test_a_refusal_is_final(error: CallRefused) -> None:
    inner = FailingRunner(error)
    runner, clock = retrying(inner)

    with pytest.raises(type(error)):
        runner.set_task_status("t", Verdict(status="FINISHED"))

    assert inner.calls == 1
    assert clock.waits == []


def test_nothing_is_tried_again_once_the_agent_must_go() -> None:
    inner = FailingRunner(GONE, GONE)
    runner, _ = retrying(inner)
    runner.hurry()

    with pytest.raises(ServiceUnreachable):
        runner.report_task_progress("t", {})

    assert inner.calls == 1


def test_progress_with_all_its_tries_is_over_before_the_next_one_is_due() -> None:
    from taskrunner.wire.client import REPORT_DEADLINE_S

    budget = BUDGETS["ReportTaskProgress"]
    waits = sum(budget.wait_s(n, 1.0) for n in range(1, budget.attempts))

    assert budget.attempts * REPORT_DEADLINE_S + waits < 60
