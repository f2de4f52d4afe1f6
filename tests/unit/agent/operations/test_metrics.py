from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from taskrunner.agent.operations.calls import WatchedCalls
from taskrunner.agent.operations.metrics import FAMILIES, render
from taskrunner.errors import (
    CallGivenUp,
    CallRefused,
    NotAuthorized,
    ServiceUnreachable,
    UnknownTask,
    WireError,
)
from taskrunner.metrics import Counters, Sample
from taskrunner.wire.api import Verdict
from taskrunner.wire.runner import RunnerApi
from tests.unit.agent.fakes import FakeApi, FakeClock, make_task


def test_text_has_help_type_and_escaped_labels_in_the_tables_order() -> None:
    counters = Counters()
    counters.add("taskrunner_polls_total", worker_group='a"\\\n', outcome="task")
    counters.add("taskrunner_polls_total", worker_group='a"\\\n', outcome="task")
    assert render([*counters.samples(), Sample("taskrunner_slots", 4)]).splitlines() == [
        "# HELP taskrunner_slots How many tasks may run at once.",
        "# TYPE taskrunner_slots gauge",
        "taskrunner_slots 4",
        "# HELP taskrunner_polls_total Polls answered, by worker group and outcome.",
        "# TYPE taskrunner_polls_total counter",
        r'taskrunner_polls_total{worker_group="a\"\\\n",outcome="task"} 2.0',
    ]


def test_a_metric_that_the_table_lacks_is_a_defect() -> None:
    with pytest.raises(AssertionError, match="no_such"):
        render([Sample("no_such", 1)])


def test_names_follow_the_conventions() -> None:
    for name, family in FAMILIES.items():
        assert re.fullmatch(r"(taskrunner|process)(_[a-z]+)+", name)
        assert name.endswith("_total") == (family.kind == "counter"), name


class Watch:
    def __init__(self) -> None:
        self.api, self.clock, self.counters = FakeApi(), FakeClock(), Counters()
        self.refusals: list[NotAuthorized] = []
        self.answered: list[float] = []
        self.calls = WatchedCalls(
            self.api.call,
            clock=self.clock,
            counters=self.counters,
            on_not_authorized=self.refusals.append,
            on_first_answer=lambda: self.answered.append(self.clock.elapsed),
        )
        self.watched = self.api.over(self.calls.call)

    def count(self, name: str, **labels: str) -> float:
        wanted = Sample(name, 0, tuple(labels.items()))
        found = [
            sample.value
            for sample in self.counters.samples()
            if (sample.name, sample.labels) == (wanted.name, wanted.labels)
        ]
        return sum(found)


CALLS: dict[str, Callable[[RunnerApi], object]] = {
    "PollForTask": lambda api: api.poll_for_task(worker_group="wg", hostname="h"),
    "ReportTaskProgress": lambda api: api.report_task_progress("t", {}),
    "SetTaskStatus": lambda api: api.set_task_status("t", Verdict(status="FINISHED")),
    "ReportTaskRunnerHeartbeat": lambda api: api.report_task_runner_heartbeat(
        taskrunner_id="i", worker_group="wg", hostname="h"
    ),
}


@pytest.mark.parametrize("operation", list(CALLS))
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (NotAuthorized("no", code="AccessDeniedException"), "not_authorized"),
        (UnknownTask("gone", code="TaskNotFoundException"), "unknown_task"),
        (CallRefused("what", code="InvalidRequestException"), "refused"),
        (ServiceUnreachable("down"), "unreachable"),
    ],
)
def test_every_call_is_counted_and_a_refusal_of_any_is_told(
    operation: str, error: WireError, outcome: str
) -> None:
    watch = Watch()
    scripts = watch.api.polls, watch.api.progress, watch.api.statuses, watch.api.beats
    for script in scripts:
        script.append(error)
    with pytest.raises(type(error)):
        CALLS[operation](watch.watched)
    CALLS[operation](watch.watched)
    calls = "taskrunner_api_calls_total"
    assert watch.count(calls, operation=operation, outcome=outcome) == 1
    assert watch.count(calls, operation=operation, outcome="ok") == 1
    assert watch.refusals == ([error] if isinstance(error, NotAuthorized) else [])


def test_the_last_poll_of_each_group_is_remembered() -> None:
    watch = Watch()
    watch.api.polls = [make_task(), None, ServiceUnreachable("down")]
    for group in ("a", "b"):
        watch.watched.poll_for_task(worker_group=group, hostname="h")
    assert {group: poll.outcome for group, poll in watch.calls.polls.items()} == {
        "a": "task",
        "b": "empty",
    }
    watch.clock.elapsed += 7
    with pytest.raises(ServiceUnreachable):
        watch.watched.poll_for_task(worker_group="a", hostname="h")
    last = watch.calls.polls["a"]
    assert (last.outcome, last.error, last.ended, last.answered) == (
        "unreachable",
        "down",
        7,
        False,
    )
    assert watch.calls.polls["b"].answered


def test_the_first_call_that_is_answered_is_told_once() -> None:
    watch = Watch()
    watch.api.polls = [ServiceUnreachable("down")]
    with pytest.raises(ServiceUnreachable):
        watch.watched.poll_for_task(worker_group="a", hostname="h")
    assert watch.answered == []
    for call in CALLS.values():
        watch.clock.elapsed += 1
        call(watch.watched)
    assert watch.answered == [1]


def test_a_poll_that_was_given_up_is_counted_and_says_nothing_of_the_service() -> None:
    watch = Watch()
    watch.api.polls = [ServiceUnreachable("down"), CallGivenUp("given up")]
    for error in (ServiceUnreachable, CallGivenUp):
        with pytest.raises(error):
            watch.watched.poll_for_task(worker_group="a", hostname="h")
    assert watch.calls.polls["a"].error == "down"
    polls = "taskrunner_polls_total"
    assert watch.count(polls, worker_group="a", outcome="given_up") == 1


def test_labels_that_others_choose_cannot_fill_the_memory() -> None:
    counters = Counters()
    for number in range(5000):
        counters.add("taskrunner_tasks_started_total", type=f"T{number}")
    samples = counters.samples()
    assert len(samples) <= 2001
    assert sum(sample.value for sample in samples) == 5000
