from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from taskrunner.model.instances import Category, InstanceSpec
from taskrunner.service.schedule_expander import INSTANCES_AT_ONCE
from taskrunner.service.scheduler import LONGEST_NAP_S
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import queue_depths
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import (
    ON_DEMAND,
    T,
    alarm,
    check,
    data,
    ec2,
    ref,
    refs,
    schedule,
    scheduled,
    shell,
    terminate,
)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CASCADE = {**ON_DEMAND, "failureAndRerunMode": "cascade", "maximumRetries": "0"}
NO_RETRY = {**ON_DEMAND, "maximumRetries": "0"}
#: One period by a schedule: on demand nothing is ever late.
ONE_PERIOD = [scheduled(), schedule(occurrences="1")]


def components(world: ServiceInProcess, pipeline_id: str) -> dict[str, str]:
    """The one instance of each component."""
    return {key: found[0] for key, found in world.components(pipeline_id).items()}


# -- order ----------------------------------------------------------------------------------


def test_work_is_done_in_the_order_of_its_dependencies(world: ServiceInProcess) -> None:
    pipeline = world.run(
        [
            ON_DEMAND,
            shell("Last", after="Left Right"),
            shell("Left", input=ref("N")),
            shell("Right", after="First"),
            data("N", precondition=ref("P")),
            check("P"),
            shell("First", output=ref("N")),
        ]
    )
    done = [attempt.split("_")[0][1:] for attempt in world.work_off()]
    assert sorted(done) == ["First", "Last", "Left", "P", "Right"]
    assert done[0] == "First"
    assert done[-1] == "Last"
    assert done.index("P") < done.index("Left")
    assert world.state(pipeline) == "FINISHED"


def test_max_active_instances_holds_the_others_back_oldest_first(world: ServiceInProcess) -> None:
    pipeline = world.run(
        [
            scheduled(maxActiveInstances="2"),
            schedule(startDateTime="2026-02-12T00:00:00", occurrences="6"),
            shell("A"),
        ]
    )
    done = []
    while (task := world.claim()) is not None:
        active = [s for s in world.statuses(pipeline).values() if not s.endswith("DEPENDENCIES")]
        assert sum(s != "FINISHED" for s in active) <= 2
        done.append(task.attempt_id)
        world.conclude(task)
    assert done == sorted(done)
    assert len(done) == 6
    assert world.state(pipeline) == "FINISHED"


def test_those_that_can_never_run_do_not_stand_in_the_way_of_those_behind(
    world: ServiceInProcess,
) -> None:
    """More instances than are offered a place at a time wait for ever for a failed input."""
    pipeline = world.run(
        [
            scheduled(maximumRetries="0"),
            schedule(startDateTime="2026-02-12T00:00:00", occurrences="11"),
            shell("Before", workerGroup="before"),
            shell("A", after="Before", maxActiveInstances="1"),
        ]
    )
    for _ in range(9):
        world.conclude(world.take("before"), "FAILED")
    world.work_off("before")
    assert len(world.work_off()) == 2
    assert world.components(pipeline)["A"].count("FINISHED") == 2


# -- rounds ---------------------------------------------------------------------------------


def test_what_was_made_is_decided_about_before_more_is_made(world: ServiceInProcess) -> None:
    """Else the definitions of a thousand pipelines due at once would be loaded twice."""
    many = [shell(f"A{number}") for number in range(INSTANCES_AT_ONCE // 2)]
    later = (world.now + HOUR).strftime("%Y-%m-%dT%H:%M:%S")
    for _ in range(3):
        world.run([scheduled(), schedule(startDateTime=later, occurrences="1"), *many])
    assert world.service.scheduler.tick(world.now + HOUR)
    with world.service.store.read() as conn:
        (depth,) = queue_depths.depths(conn, world.now + HOUR)
    assert depth.tasks == INSTANCES_AT_ONCE


def test_a_period_is_waited_for_to_its_moment(world: ServiceInProcess) -> None:
    later = (world.now + HOUR).replace(microsecond=0)
    start = later.strftime("%Y-%m-%dT%H:%M:%S")
    world.run([scheduled(), schedule(startDateTime=start, occurrences="1"), shell("A")])
    step = world.service.scheduler.step
    assert step(later - timedelta(milliseconds=1300)) == LONGEST_NAP_S
    assert step(later - timedelta(milliseconds=300)) == pytest.approx(0.3)
    assert step(later) == 0


# -- cascade --------------------------------------------------------------------------------


def chain(default: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        default,
        shell("A", output=ref("N")),
        data("N", precondition=ref("P")),
        check("P"),
        shell("B", input=ref("N"), precondition=ref("Q")),
        check("Q", workerGroup="never"),
        shell("C", after="B"),
        shell("Else"),
    ]


def test_with_cascade_everything_behind_a_failure_fails_with_it(world: ServiceInProcess) -> None:
    pipeline = world.run(chain(CASCADE))
    while (task := world.claim()) is not None:
        status = {"A": "FAILED", "Q": "FALSE"}.get(task.component_id, "FINISHED")
        world.conclude(task, status, "X" if status == "FAILED" else None)
    assert components(world, pipeline) == {
        "A": "FAILED",
        "N": "CASCADE_FAILED",
        "P": "CANCELED",
        "B": "CASCADE_FAILED",
        "Q": "CANCELED",
        "C": "CASCADE_FAILED",
        "Else": "FINISHED",
    }
    rows = world.instances(pipeline)
    assert rows[f"@B_{T}"].cause == f"@N_{T}"
    assert rows[f"@C_{T}"].cause == f"@B_{T}"
    assert world.state(pipeline) == "FINISHED"


def test_without_cascade_everything_behind_a_failure_waits(world: ServiceInProcess) -> None:
    pipeline = world.run(chain(NO_RETRY))
    while (task := world.claim()) is not None:
        world.conclude(task, "FAILED" if task.component_id == "A" else "FINISHED")
    waits = "WAITING_ON_DEPENDENCIES"
    assert components(world, pipeline) == {
        "A": "FAILED",
        "N": waits,
        "P": waits,
        "B": waits,
        "Q": "FINISHED",
        "C": waits,
        "Else": "FINISHED",
    }
    assert world.state(pipeline) == "SCHEDULED"


def test_a_cascade_leaves_alone_what_has_ended_and_what_is_before_it(
    world: ServiceInProcess,
) -> None:
    pipeline = world.run(
        [CASCADE, shell("A"), shell("B", after="A"), shell("C", after="B D"), shell("D")]
    )
    while (task := world.claim()) is not None:
        world.conclude(task, "FAILED" if task.component_id == "B" else "FINISHED")
    assert components(world, pipeline) == {
        "A": "FINISHED",
        "B": "FAILED",
        "C": "CASCADE_FAILED",
        "D": "FINISHED",
    }


# -- alarms ---------------------------------------------------------------------------------


def test_alarms_carry_what_their_expressions_say(world: ServiceInProcess) -> None:
    pipeline = world.run(
        [
            NO_RETRY,
            alarm("Good", subject="#{node.name} is #{node.@status}"),
            alarm("Bad", message="#{node.errorId}: #{node.errorMessage}"),
            shell("A", name="the A", onSuccess=ref("Good"), onFail=ref("Bad")),
            shell("B", onSuccess=ref("Good"), onFail=refs("Bad", "Good"), workerGroup="b"),
        ]
    )
    world.conclude(world.take())
    world.conclude(world.take("b"), "FAILED", "X", "no such file")
    said = {(a.action_id, a.subject, a.message) for a in world.alarms(pipeline)}
    assert said == {
        ("Good", "the A is FINISHED", f"at {T}"),
        ("Bad", "B FAILED", "X: no such file"),
        ("Good", "B is FAILED", f"at {T}"),
    }


def test_an_alarm_is_raised_only_at_the_end_not_for_every_attempt(
    world: ServiceInProcess,
) -> None:
    pipeline = world.run(
        [ON_DEMAND, alarm("Bad"), shell("A", onFail=ref("Bad"), retryDelay="1 minute")]
    )
    for alarms in (0, 0, 1):
        world.conclude(world.take(), "FAILED")
        world.advance(MINUTE)
        assert len(world.alarms(pipeline)) == alarms


def test_who_is_late_raises_its_alarm_once(world: ServiceInProcess) -> None:
    pipeline = world.run(
        [
            *ONE_PERIOD,
            alarm("Late"),
            shell("A", lateAfterTimeout="1 hour", onLateAction=ref("Late")),
        ]
    )
    task = world.take()
    for _ in range(30):
        assert len(world.alarms(pipeline)) == (world.now >= datetime(2026, 2, 13, 3, tzinfo=UTC))
        world.advance(4 * MINUTE)
        world.service.report_progress(task.task_id, {})
    assert [a.event for a in world.alarms(pipeline)] == ["onLateAction"]
    world.conclude(task)
    assert world.statuses(pipeline) == {f"@A_{T}": "FINISHED"}


def test_on_demand_nothing_is_ever_late(world: ServiceInProcess) -> None:
    late = {"lateAfterTimeout": "1 hour", "onLateAction": refs("Late", "Stop")}
    pipeline = world.run([ON_DEMAND, alarm("Late"), terminate("Stop"), shell("A", **late)])
    world.advance(30 * HOUR)
    assert components(world, pipeline) == {"A": "WAITING_FOR_RUNNER"}
    assert world.alarms(pipeline) == []


# -- Terminate ------------------------------------------------------------------------------


def late_and_terminated(**fields: Any) -> list[dict[str, Any]]:
    return [
        *ONE_PERIOD,
        alarm("Late"),
        terminate("Stop"),
        shell("A", lateAfterTimeout="1 hour", onLateAction=refs("Late", "Stop"), **fields),
    ]


def test_terminate_takes_the_work_away_from_who_is_late(world: ServiceInProcess) -> None:
    pipeline = world.run(late_and_terminated(reportProgressTimeout="1 day"))
    task = world.take()
    world.advance(HOUR)
    assert world.statuses(pipeline) == {f"@A_{T}": "CANCELED"}
    assert world.service.report_progress(task.task_id, {}) is True
    assert len(world.alarms(pipeline)) == 1
    assert world.state(pipeline) == "FINISHED"


def test_terminate_in_the_moment_of_another_decision_leaves_nothing_behind(
    world: ServiceInProcess,
) -> None:
    """Late, and in the same breath due to be tried again."""
    pipeline = world.run(late_and_terminated())
    task = world.take()
    world.clock.advance(HOUR)
    world.service.set_task_status(task.task_id, "FAILED")
    assert world.statuses(pipeline) == {f"@A_{T}": "CANCELED"}
    assert len(world.attempts(pipeline)) == 1
    world.advance(HOUR)
    assert world.claim() is None


def test_terminate_ends_who_has_not_even_begun(world: ServiceInProcess) -> None:
    pipeline = world.run([*late_and_terminated(after="B"), shell("B", workerGroup="never")])
    world.advance(HOUR)
    assert components(world, pipeline) == {"A": "CANCELED", "B": "WAITING_FOR_RUNNER"}


def test_terminate_ends_a_late_resource(world: ServiceInProcess) -> None:
    pipeline = world.run(
        [
            *ONE_PERIOD,
            terminate("Stop"),
            ec2("R", lateAfterTimeout="1 hour", onLateAction=ref("Stop")),
            shell("A", runsOn=ref("R")),
        ]
    )
    world.advance(HOUR)
    assert components(world, pipeline) == {"A": "CANCELED", "R": "FINISHED"}


# -- trouble --------------------------------------------------------------------------------


def test_one_pipelines_trouble_does_not_stop_the_others(
    world: ServiceInProcess,
) -> None:
    """An instance of a component that the definition does not know: a bug, or a hand-made row."""
    broken = world.run([ON_DEMAND, shell("A")])
    strange = InstanceSpec(
        instance_id="@Strange_1",
        component_id="Strange",
        name="Strange",
        type="ShellCommandActivity",
        category=Category.ACTIVITY,
        start=world.now,
        end=world.now,
        not_before=world.now,
    )
    with world.service.store.write() as conn:
        instance_store.insert_instances(conn, broken, 1, [strange], world.now)
    with capture_logs() as log:
        sound = world.run([ON_DEMAND, shell("A")])
    assert {world.take().pipeline_id, world.take().pipeline_id} == {broken, sound}
    told = [(record["event"], record["pipeline_id"]) for record in log]
    assert set(told) == {("pipeline could not be advanced", broken)}


def test_it_knows_how_long_it_may_sleep(world: ServiceInProcess) -> None:
    scheduler = world.service.scheduler
    assert scheduler.tick(world.now) is False
    world.run([ON_DEMAND, shell("A", maximumRetries="1", retryDelay="5 minutes")])
    world.conclude(world.take(), "FAILED")
    assert scheduler.step(world.now) == LONGEST_NAP_S
    assert scheduler.step(world.now + timedelta(seconds=299.5)) == pytest.approx(0.5)
    assert scheduler.step(world.now + timedelta(seconds=300)) == 0


def test_waiting_polls_are_told_when_work_is_ready(world: ServiceInProcess) -> None:
    told: list[str] = []
    for name in ("wg", "other"):
        world.service.work_ready.subscribe(name, lambda name=name: told.append(name))  # type: ignore[misc]
    world.run([ON_DEMAND, shell("A", retryDelay="5 minutes")])
    assert told == ["wg"]
    world.conclude(world.take(), "FAILED")
    assert told == ["wg"]
    world.advance(5 * MINUTE)
    assert told == ["wg", "wg"]
    world.take(acknowledge=False)
    world.advance(2 * MINUTE)  # nobody acknowledged: it is for others again
    assert told == ["wg"] * 3
