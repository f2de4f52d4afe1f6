"""A task id is its poller's: to every other key it is an id that never was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from taskrunner.errors import PipelineNotFound, TaskNotFound
from taskrunner.model.task import Task
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import ON_DEMAND, shell

ACCOUNT = ANONYMOUS.account
OWNER = Caller(account=ACCOUNT, user="runner-1")
OTHERS = [
    Caller(account=ACCOUNT, user="runner-2"),
    Caller(account="111111111111", user="runner-1"),
    ANONYMOUS,
]


def polled(world: ServiceInProcess) -> Task:
    task = world.service.claim("wg", "host", OWNER)
    assert task is not None
    return task


def assigned(_world: ServiceInProcess, _task: Task) -> None:
    """As it was handed out."""


def running(world: ServiceInProcess, task: Task) -> None:
    world.service.report_progress(task.task_id, {}, OWNER)


def finished(world: ServiceInProcess, task: Task) -> None:
    world.service.set_task_status(task.task_id, "FINISHED", caller=OWNER)
    world.settle()


def superseded(world: ServiceInProcess, _task: Task) -> None:
    world.advance(121)


def canceled(world: ServiceInProcess, task: Task) -> None:
    world.service.set_status(task.pipeline_id, [task.attempt_id.split("_Attempt")[0]], "CANCEL")
    world.settle()


def report(world: ServiceInProcess, task_id: str, caller: Caller) -> None:
    assert world.service.report_progress(task_id, {"rows": "1"}, caller) is False


def conclude(world: ServiceInProcess, task_id: str, caller: Caller) -> None:
    world.service.set_task_status(task_id, "FINISHED", caller=caller)


@pytest.mark.parametrize("other", OTHERS, ids=["key", "account", "anonymous"])
@pytest.mark.parametrize("call", [report, conclude])
@pytest.mark.parametrize("become", [assigned, running, finished, superseded, canceled])
def test_another_callers_task_is_answered_as_one_that_never_was(
    world: ServiceInProcess,
    become: Callable[[ServiceInProcess, Task], None],
    call: Callable[[ServiceInProcess, str, Caller], None],
    other: Caller,
) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    task = polled(world)
    become(world, task)
    before = world.instances(pipeline), world.attempts(pipeline)
    answers = []
    for task_id in (task.task_id, "x" * len(task.task_id)):
        with pytest.raises(TaskNotFound) as answer:
            call(world, task_id, other)
        answers.append(str(answer.value))
    assert answers[0] == answers[1]
    assert (world.instances(pipeline), world.attempts(pipeline)) == before


def test_another_key_of_the_same_user_may_conclude(world: ServiceInProcess) -> None:
    """As when keys are exchanged while a task runs."""
    pipeline = world.run([ON_DEMAND, shell("A")])
    task = polled(world)
    same = Caller(account=ACCOUNT, user="runner-1", worker_groups=frozenset({"wg"}))
    report(world, task.task_id, same)
    conclude(world, task.task_id, same)
    world.settle()
    assert list(world.statuses(pipeline).values()) == ["FINISHED"]


def test_work_goes_to_runners_of_the_pipelines_account_only(world: ServiceInProcess) -> None:
    world.run([ON_DEMAND, shell("A")])
    assert world.service.claim("wg", None, OTHERS[1]) is None
    assert polled(world)


def test_a_key_bound_to_groups_sees_what_they_work_for(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A"), shell("B", workerGroup="other")])
    for group in ("wg", "other"):
        bound = Caller(account=ACCOUNT, user="r", worker_groups=frozenset({group, "spare"}))
        with world.service.objects(pipeline, bound) as objects:
            assert objects.evaluate("A", "name") == "A"
    foreign = Caller(account=ACCOUNT, user="r", worker_groups=frozenset({"spare"}))
    said = []
    for pipeline_id in (pipeline, "df-MADEUP"):
        with pytest.raises(PipelineNotFound) as error, world.service.objects(pipeline_id, foreign):
            pass
        said.append(str(error.value).replace(pipeline_id, ""))
    assert said[0] == said[1]
