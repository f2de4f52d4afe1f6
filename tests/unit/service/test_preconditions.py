"""Preconditions: tasks that may answer no, and are asked again."""

from __future__ import annotations

from datetime import timedelta

from taskrunner.errors import ErrorId
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import ON_DEMAND, T, check, data, ref, shell

MINUTE = timedelta(minutes=1)
A = f"@A_{T}"


def guarded(world: ServiceInProcess, **fields: object) -> str:
    return world.run([ON_DEMAND, shell("A", precondition=ref("P")), check("P", **fields)])


def test_a_precondition_is_a_task_and_holds_its_activity_back(world: ServiceInProcess) -> None:
    pipeline = guarded(world)
    task = world.take()
    assert task.component_id == "P"
    assert world.statuses(pipeline)[A] == "WAITING_ON_DEPENDENCIES"
    world.conclude(task)
    assert world.take().component_id == "A"


def test_a_false_precondition_is_asked_again_by_the_same_attempt(world: ServiceInProcess) -> None:
    pipeline = guarded(world)
    first = world.take()
    world.conclude(first, "FALSE")
    world.conclude(first, "FALSE")  # repeated: the same answer
    assert world.claim() is None
    world.advance(MINUTE)
    second = world.take()
    assert second.attempt_id == first.attempt_id
    assert second.task_id != first.task_id
    world.conclude(first, "FALSE")  # late, and still the same answer
    assert world.service.report_progress(second.task_id, {}) is False
    world.conclude(second)
    assert world.statuses(pipeline)[f"@P_{T}"] == "FINISHED"


def test_attempt_timeout_counts_each_look_from_its_own_acknowledgement(
    world: ServiceInProcess,
) -> None:
    pipeline = guarded(
        world, attemptTimeout="5 minutes", retryDelay="10 minutes", maximumRetries="0"
    )
    world.conclude(world.take(), "FALSE")
    world.advance(10 * MINUTE)
    world.take(acknowledge=False)  # the reply is lost, so nobody looks
    world.advance(3 * MINUTE)
    assert world.statuses(pipeline)[f"@P_{T}"] == "WAITING_FOR_RUNNER"

    world.take()
    world.advance(4 * MINUTE)
    assert world.statuses(pipeline)[f"@P_{T}"] == "RUNNING"
    world.advance(MINUTE)
    assert world.statuses(pipeline)[f"@P_{T}"] == "FAILED"


def test_a_precondition_fails_for_good_after_its_timeout(world: ServiceInProcess) -> None:
    pipeline = guarded(world, preconditionTimeout="3 minutes")
    looks = 0
    while (task := world.claim()) is not None:
        looks += 1
        world.conclude(task, "FALSE", message=f"look {looks}: nothing there")
        world.advance(MINUTE)
    row = world.instances(pipeline)[f"@P_{T}"]
    assert (row.status, row.error_id, looks) == ("FAILED", ErrorId.PRECONDITION_TIMEOUT, 3)
    assert (row.error_message or "").startswith("Exists 'P' did not hold within precondition")
    assert (row.error_message or "").endswith("; at the last look: look 3: nothing there")
    assert world.statuses(pipeline)[A] == "WAITING_ON_DEPENDENCIES"


def test_precondition_timeout_does_not_count_the_wait_for_the_data(
    world: ServiceInProcess,
) -> None:
    pipeline = world.run(
        [
            ON_DEMAND,
            shell("Make", output=ref("N")),
            data("N", precondition=ref("P")),
            check("P", preconditionTimeout="3 minutes"),
            shell("A", input=ref("N")),
        ]
    )
    task = world.take()
    for _ in range(60):
        world.advance(MINUTE)
        world.service.report_progress(task.task_id, {})
    world.conclude(task)
    assert world.work_off() == [f"@P_{T}_Attempt=1", f"{A}_Attempt=1"]
    assert set(world.statuses(pipeline).values()) == {"FINISHED"}
