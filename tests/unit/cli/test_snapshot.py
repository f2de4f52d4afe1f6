from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from taskrunner.cli.snapshot import Snapshot
from taskrunner.testing import ServiceInProcess
from tests.unit.cli.pictures import START, attempt, instance, picture
from tests.unit.service.worlds import (
    ON_DEMAND,
    FakeProvider,
    alarm,
    check,
    data,
    ec2,
    ref,
    schedule,
    scheduled,
    shell,
)

CASCADE = {**ON_DEMAND, "failureAndRerunMode": "cascade"}


def look(world: ServiceInProcess, pipeline: str) -> Snapshot:
    return Snapshot.take(world.service, pipeline)


def row_of(snapshot: Snapshot, component: str) -> Any:
    (row,) = (row for row in snapshot.instances if row.component_id == component)
    return row


def fail(world: ServiceInProcess, message: str = "no such table") -> None:
    world.conclude(world.take(), "FAILED", "SqlError", message)


# -- over, and how --------------------------------------------------------------------------


def test_a_run_is_over_once_everything_has_ended(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A"), shell("B", after="A")])
    assert not look(world, pipeline).over
    world.work_off()
    snapshot = look(world, pipeline)
    assert snapshot.over
    assert snapshot.succeeded


def test_a_run_waits_for_a_retry(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A", maximumRetries="1")])
    fail(world)
    snapshot = look(world, pipeline)
    assert not snapshot.over
    assert snapshot.blocked == {}
    assert snapshot.progress(row_of(snapshot, "A")) == "no such table"
    world.advance(timedelta(hours=1))
    world.work_off()
    assert look(world, pipeline).succeeded


def test_while_it_waits_for_its_second_attempt_the_last_failure_is_told(
    world: ServiceInProcess,
) -> None:
    pipeline = world.run([ON_DEMAND, shell("A", maximumRetries="1")])
    fail(world, "no such table\nline 3")
    world.advance(timedelta(hours=1))
    snapshot = look(world, pipeline)
    row = row_of(snapshot, "A")
    assert row.status == "WAITING_FOR_RUNNER"
    assert snapshot.progress(row) == "no such table"


def test_without_cascade_what_waits_for_a_failure_is_blocked_and_the_run_is_over(
    world: ServiceInProcess,
) -> None:
    objects = [ON_DEMAND, shell("A", maximumRetries="0"), shell("B", after="A")]
    pipeline = world.run([*objects, shell("C", after="B"), shell("D")])
    fail(world)
    unfinished = look(world, pipeline)
    assert set(unfinished.blocked) == {"@B_2026-02-13T02:00:00", "@C_2026-02-13T02:00:00"}
    assert not unfinished.over, "D is still to run"
    world.work_off()
    snapshot = look(world, pipeline)
    assert snapshot.over
    assert not snapshot.succeeded


def test_the_origin_of_a_block_is_the_failure_itself(world: ServiceInProcess) -> None:
    objects = [ON_DEMAND, shell("A", maximumRetries="0"), shell("B", after="A")]
    pipeline = world.run([*objects, shell("C", after="B")])
    fail(world)
    snapshot = look(world, pipeline)
    for component in "BC":
        row = row_of(snapshot, component)
        assert snapshot.origin(row) == "@A_2026-02-13T02:00:00"
        told = "never: @A_2026-02-13T02:00:00 has not FINISHED"
        assert snapshot.progress(row) == told


def test_with_cascade_the_run_is_over_when_the_failure_has_arrived_everywhere(
    world: ServiceInProcess,
) -> None:
    pipeline = world.run([CASCADE, shell("A", maximumRetries="0"), shell("B", after="A")])
    task = world.take()
    world.service.set_task_status(task.task_id, "FAILED", "X", "broken")
    assert not look(world, pipeline).over
    world.settle()
    snapshot = look(world, pipeline)
    assert snapshot.over
    assert row_of(snapshot, "B").status == "CASCADE_FAILED"
    assert snapshot.progress(row_of(snapshot, "A")) == "broken"


def test_a_failed_precondition_blocks_its_activity(world: ServiceInProcess) -> None:
    guard = check("Guard", maximumRetries="0")
    pipeline = world.run([ON_DEMAND, shell("A", precondition=ref("Guard")), guard])
    fail(world)
    snapshot = look(world, pipeline)
    assert snapshot.origin(row_of(snapshot, "A")) == "@Guard_2026-02-13T02:00:00"
    assert snapshot.over


def test_a_resource_kept_only_by_the_blocked_does_not_hold_up_the_end(
    world: ServiceInProcess,
) -> None:
    world = world.reset(provider=FakeProvider())
    default = {"id": "Default", "scheduleType": "ondemand"}
    on = {"runsOn": ref("Host"), "maximumRetries": "0"}
    pipeline = world.run([default, shell("A", **on), shell("B", after="A", **on), ec2("Host")])
    host = row_of(look(world, pipeline), "Host")
    fail_group = host.worker_group
    assert fail_group
    world.conclude(world.take(fail_group), "FAILED", "X", "broken")
    snapshot = look(world, pipeline)
    assert row_of(snapshot, "Host").status not in {"FINISHED", "FAILED"}
    assert snapshot.over
    assert not snapshot.succeeded


def test_nothing_to_run_is_no_success() -> None:
    assert not picture().succeeded
    assert picture(instance("A"), instance("B", "SKIPPED")).succeeded
    assert not picture(instance("A"), instance("B", "CANCELED")).succeeded


# -- order ----------------------------------------------------------------------------------


def test_within_a_period_what_is_waited_for_comes_first(world: ServiceInProcess) -> None:
    pipeline = world.run(
        [
            ON_DEMAND,
            shell("A", after="Z"),
            shell("M", input=ref("D")),
            data("D"),
            shell("Z", output=ref("D")),
        ]
    )
    order = [row.component_id for row in look(world, pipeline).instances]
    assert sorted(order) == ["A", "D", "M", "Z"]
    assert order.index("Z") < order.index("A")
    assert order.index("Z") < order.index("D") < order.index("M")


def test_periods_come_one_after_another(world: ServiceInProcess) -> None:
    world.clock.advance(timedelta(hours=3))
    objects = [scheduled(), schedule(occurrences="3"), shell("A", after="Z"), shell("Z")]
    pipeline = world.run(objects)
    rows = look(world, pipeline).instances
    assert [row.component_id for row in rows] == ["Z", "A"] * 3
    starts = [row.scheduled_start for row in rows]
    assert starts == sorted(starts)


# -- what is told of an instance ------------------------------------------------------------


def test_the_progress_of_what_runs_is_told_with_separators(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    task = world.take()
    world.service.report_progress(
        task.task_id, {"rows": "1234567", "percent": "40", "phase": "load"}
    )
    snapshot = look(world, pipeline)
    told = snapshot.progress(row_of(snapshot, "A"))
    assert sorted(told.split(", ")) == ["1,234,567 rows", "40 percent", "phase load"]


def test_only_the_first_line_of_an_error_is_progress() -> None:
    row = instance("A", "FAILED", error_message="exit code 3\nlong\nstory")
    assert picture(row).progress(row) == "exit code 3"


def test_what_finished_on_a_later_attempt_needs_no_comment() -> None:
    row = instance("A", attempt_count=2)
    tries = (attempt(row, 1, "FAILED", error_message="no"), attempt(row, 2))
    assert picture(row, attempts=tries).progress(row) == ""


@pytest.mark.parametrize("number", [1, 3])
def test_the_head_is_the_newest_attempt(number: int) -> None:
    row = instance("A")
    tries = tuple(attempt(row, n) for n in range(1, number + 1))
    head = picture(row, attempts=tries).head(row)
    assert head is not None
    assert head.number == number
    assert picture(row).head(row) is None


def test_time_elapses_until_the_end() -> None:
    begun: dict[str, Any] = {"actual_start": START}
    running, done = instance("A", "RUNNING", **begun), instance("B", **begun)
    ended = instance("C", **begun, actual_end=START + timedelta(seconds=7))
    ahead = instance("D", "RUNNING", actual_start=START + timedelta(hours=1))
    snapshot = picture(running, done, ended)
    assert snapshot.elapsed_s(running) == 60
    assert snapshot.elapsed_s(ended) == 7
    assert snapshot.elapsed_s(instance("W", "WAITING_FOR_RUNNER")) is None
    assert snapshot.elapsed_s(ahead) == 0, "a clock set back must not show less than nothing"


# -- alarms ---------------------------------------------------------------------------------


def test_alarms_are_in_the_picture(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A", onSuccess=ref("Tell")), alarm("Tell")])
    assert look(world, pipeline).alarms == ()
    world.work_off()
    (sent,) = look(world, pipeline).alarms
    assert sent.subject == "A FINISHED"
