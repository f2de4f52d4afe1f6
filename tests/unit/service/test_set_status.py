from __future__ import annotations

from datetime import timedelta

import pytest

from taskrunner.errors import InvalidRequest, TaskNotFound
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import (
    ON_DEMAND,
    FakeProvider,
    T,
    check,
    data,
    ec2,
    ref,
    schedule,
    scheduled,
    shell,
    terminate,
)

HOUR = timedelta(hours=1)
#: A schedule, so that the pipeline goes on when its instances have ended.
ON = [scheduled(maximumRetries="0"), schedule(period="1 year")]
CASCADE = [scheduled(maximumRetries="0", failureAndRerunMode="cascade"), schedule(period="1 year")]


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
def world(kept: ServiceInProcess, provider: FakeProvider) -> ServiceInProcess:
    return kept.reset(provider=provider)


def set_status(world: ServiceInProcess, pipeline: str, status: str, *components: str) -> None:
    ids = [f"@{component}_{T}" for component in components]
    world.service.set_status(pipeline, ids, status)
    world.settle()


def components(world: ServiceInProcess, pipeline: str) -> dict[str, str]:
    return {key: found[0] for key, found in world.components(pipeline).items()}


def work(world: ServiceInProcess, **verdicts: str) -> None:
    """Work everything off; who is not named finishes."""
    while (task := world.claim()) is not None:
        world.conclude(task, verdicts.get(task.component_id, "FINISHED"))


# -- cancel ---------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["CANCEL", "TRY_CANCEL"])
def test_cancel_takes_the_task_away(world: ServiceInProcess, word: str) -> None:
    pipeline = world.run([*ON, shell("A"), shell("B", after="A")])
    task = world.take()
    set_status(world, pipeline, word, "A")
    assert components(world, pipeline) == {"A": "CANCELED", "B": "WAITING_ON_DEPENDENCIES"}
    assert world.service.report_progress(task.task_id, {}) is True
    with pytest.raises(TaskNotFound, match="canceled"):
        world.service.set_task_status(task.task_id, "FINISHED")
    assert [a.status for a in world.attempts(pipeline)] == ["CANCELED"]


def test_cancel_of_what_stands_in_the_queue_takes_it_out(world: ServiceInProcess) -> None:
    pipeline = world.run([*ON, shell("A")])
    set_status(world, pipeline, "CANCEL", "A")
    assert world.claim() is None


def test_cancel_draws_in_who_asked_for_it(world: ServiceInProcess) -> None:
    pipeline = world.run([*CASCADE, shell("A"), shell("B", after="A")])
    set_status(world, pipeline, "CANCEL", "A")
    assert components(world, pipeline)["B"] == "CASCADE_FAILED"


def test_cancel_of_an_activity_ends_its_precondition(world: ServiceInProcess) -> None:
    pipeline = world.run([*ON, shell("A", precondition=ref("P")), check("P")])
    world.conclude(world.take(), "FALSE")
    set_status(world, pipeline, "CANCEL", "A")
    assert components(world, pipeline) == {"A": "CANCELED", "P": "CANCELED"}


def test_cancel_of_a_resource_ends_what_was_launched(
    world: ServiceInProcess, provider: FakeProvider
) -> None:
    pipeline = world.run([*ON, shell("A", runsOn=ref("R")), ec2("R")])
    set_status(world, pipeline, "CANCEL", "R")
    assert provider.ended == ["i-1"]
    assert components(world, pipeline) == {"A": "CANCELED", "R": "FINISHED"}


def test_cancel_of_what_has_ended_changes_nothing(world: ServiceInProcess) -> None:
    pipeline = world.run([*ON, shell("A")])
    work(world)
    before = world.instances(pipeline)
    set_status(world, pipeline, "CANCEL", "A")
    assert world.instances(pipeline) == before


# -- mark finished --------------------------------------------------------------------------


def test_mark_finished_lets_those_behind_go_on(world: ServiceInProcess) -> None:
    pipeline = world.run([*ON, shell("A"), shell("B", after="A")])
    task = world.take()
    set_status(world, pipeline, "MARK_FINISHED", "A")
    assert world.service.report_progress(task.task_id, {}) is True
    assert components(world, pipeline) == {"A": "FINISHED", "B": "WAITING_FOR_RUNNER"}


def test_mark_finished_makes_good_what_has_failed(world: ServiceInProcess) -> None:
    pipeline = world.run([*ON, shell("A"), shell("B", after="A")])
    world.conclude(world.take(), "FAILED", "X", "broken")
    set_status(world, pipeline, "MARK_FINISHED", "A")
    row = world.instances(pipeline)[f"@A_{T}"]
    assert (row.status, row.error_id) == ("FINISHED", None)
    assert components(world, pipeline)["B"] == "WAITING_FOR_RUNNER"


def test_mark_finished_of_a_resource_leaves_nothing_running(
    world: ServiceInProcess, provider: FakeProvider
) -> None:
    pipeline = world.run([*ON, shell("A", runsOn=ref("R")), ec2("R")])
    set_status(world, pipeline, "MARK_FINISHED", "R")
    assert provider.ended == ["i-1"]
    assert components(world, pipeline)["R"] == "FINISHED"


def test_mark_finished_twice_is_the_same(world: ServiceInProcess) -> None:
    pipeline = world.run([*ON, shell("A")])
    set_status(world, pipeline, "MARK_FINISHED", "A")
    before = world.instances(pipeline)
    set_status(world, pipeline, "MARK_FINISHED", "A")
    assert world.instances(pipeline) == before


# -- rerun ----------------------------------------------------------------------------------


def test_a_rerun_has_all_of_its_tries_again(world: ServiceInProcess) -> None:
    retrying = [scheduled(maximumRetries="1", retryDelay="1 second"), ON[1]]
    pipeline = world.run([*retrying, shell("A")])
    for expected in (2, 4):
        while (task := world.claim()) is not None:
            world.conclude(task, "FAILED", "X")
            world.advance(1)
        assert components(world, pipeline) == {"A": "FAILED"}
        assert len(world.attempts(pipeline)) == expected
        set_status(world, pipeline, "RERUN", "A")
    row = world.instances(pipeline)[f"@A_{T}"]
    assert (row.status, row.error_id, row.actual_end) == ("WAITING_FOR_RUNNER", None, None)
    assert world.take().attempt_id == f"@A_{T}_Attempt=5"


def test_an_attempt_says_which_run_it_is_of(world: ServiceInProcess) -> None:
    """So that what has been done in a run can be told from what a rerun is to do again."""
    retrying = [scheduled(maximumRetries="1", retryDelay="1 second"), ON[1]]
    pipeline = world.run([*retrying, shell("A")])
    runs = []
    for verdict in ("FAILED", "FINISHED", "FINISHED"):
        task = world.take()
        runs.append(task.main.get("@runStartTime"))
        world.conclude(task, verdict)
        world.advance(1)
        if verdict == "FINISHED":
            set_status(world, pipeline, "RERUN", "A")
    assert runs == [T, T, "2026-02-13T02:00:02"]


def test_what_has_finished_can_run_again_alone(world: ServiceInProcess) -> None:
    pipeline = world.run([*ON, shell("A"), shell("B", after="A")])
    work(world)
    set_status(world, pipeline, "RERUN", "A")
    assert components(world, pipeline) == {"A": "WAITING_FOR_RUNNER", "B": "FINISHED"}


def test_what_has_not_ended_cannot_be_rerun(world: ServiceInProcess) -> None:
    pipeline = world.run([*ON, shell("A"), shell("B")])
    world.conclude(world.take())
    with pytest.raises(InvalidRequest, match="WAITING_FOR_RUNNER: not ended yet"):
        set_status(world, pipeline, "RERUN", "A", "B")
    assert "WAITING_ON_DEPENDENCIES" not in components(world, pipeline).values()


def test_a_rerun_draws_along_whom_the_failure_drew_in(world: ServiceInProcess) -> None:
    pipeline = world.run(
        [
            *CASCADE,
            shell("A", output=ref("N")),
            data("N", precondition=ref("P")),
            check("P"),
            shell("B", input=ref("N")),
            shell("C", after="B"),
            shell("Else"),
        ]
    )
    work(world, A="FAILED")
    set_status(world, pipeline, "RERUN", "A")
    waits = "WAITING_ON_DEPENDENCIES"
    assert components(world, pipeline) == {
        "A": "WAITING_FOR_RUNNER",
        "N": waits,
        "P": waits,
        "B": waits,
        "C": waits,
        "Else": "FINISHED",
    }
    work(world)
    assert set(components(world, pipeline).values()) == {"FINISHED"}


def test_a_rerun_in_the_middle_falls_back_on_what_is_broken_before_it(
    world: ServiceInProcess,
) -> None:
    pipeline = world.run([*CASCADE, shell("A"), shell("B", after="A")])
    work(world, A="FAILED")
    set_status(world, pipeline, "RERUN", "B")
    assert components(world, pipeline) == {"A": "FAILED", "B": "CASCADE_FAILED"}


def test_who_waits_for_two_failures_needs_both_mended(world: ServiceInProcess) -> None:
    pipeline = world.run([*CASCADE, shell("A"), shell("B"), shell("C", after="A B")])
    work(world, A="FAILED", B="FAILED")
    for component in ("A", "B"):
        set_status(world, pipeline, "RERUN", component)
    work(world)
    assert set(components(world, pipeline).values()) == {"FINISHED"}


def test_a_rerun_brings_back_resource_and_preconditions(
    world: ServiceInProcess, provider: FakeProvider
) -> None:
    pipeline = world.run(
        [
            *ON,
            shell("A", runsOn=ref("R"), precondition=ref("P")),
            check("P", preconditionTimeout="1 minute"),
            ec2("R"),
        ]
    )
    group = f"resource:{pipeline}_@R_{T}"
    world.conclude(world.take(group), "FALSE")
    world.advance(60)
    set_status(world, pipeline, "CANCEL", "A")
    world.settle()
    assert components(world, pipeline) == {"A": "CANCELED", "P": "FAILED", "R": "FINISHED"}
    set_status(world, pipeline, "RERUN", "A")
    assert len(world.work_off(group)) == 2
    assert set(components(world, pipeline).values()) == {"FINISHED"}


def test_a_rerun_leaves_a_running_resource_as_it_is(
    world: ServiceInProcess, provider: FakeProvider
) -> None:
    pipeline = world.run(
        [
            *ON,
            shell("A", runsOn=ref("R")),
            shell("B", runsOn=ref("R"), reportProgressTimeout="1 day"),
            ec2("R", terminateAfter="2 hours"),
        ]
    )
    group = f"resource:{pipeline}_@R_{T}"
    first, _second = world.take(group), world.take(group)
    world.conclude(first, "FAILED" if first.component_id == "A" else "FINISHED")
    world.advance(HOUR)
    set_status(world, pipeline, "RERUN", first.component_id)
    world.advance(HOUR)
    assert provider.launched == provider.ended == ["i-1"]


def test_a_rerun_of_a_resource_reruns_what_runs_on_it(
    world: ServiceInProcess, provider: FakeProvider
) -> None:
    provider.refuse = True
    pipeline = world.run([*CASCADE, shell("A", runsOn=ref("R")), shell("B", after="A"), ec2("R")])
    assert components(world, pipeline) == {"A": "CANCELED", "B": "CASCADE_FAILED", "R": "FAILED"}
    provider.refuse = False
    set_status(world, pipeline, "RERUN", "R")
    world.work_off(f"resource:{pipeline}_@R_{T}")
    work(world)
    assert set(components(world, pipeline).values()) == {"FINISHED"}


def test_lateness_counts_from_the_rerun(world: ServiceInProcess) -> None:
    late = {"lateAfterTimeout": "1 hour", "onLateAction": ref("Stop")}
    pipeline = world.run([*ON, terminate("Stop"), shell("A", **late)])
    world.conclude(world.take(), "FAILED")
    world.advance(5 * HOUR)
    set_status(world, pipeline, "RERUN", "A")
    assert components(world, pipeline) == {"A": "WAITING_FOR_RUNNER"}
    world.advance(HOUR)
    assert components(world, pipeline) == {"A": "CANCELED"}


# -- what cannot be -------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["FINISHED", "run", ""])
def test_only_known_words_can_be_set(world: ServiceInProcess, status: str) -> None:
    pipeline = world.run([*ON, shell("A")])
    words = "wanted CANCEL, MARK_FINISHED, PAUSE, RERUN, RESUME, TRY_CANCEL"
    with pytest.raises(InvalidRequest, match=words):
        set_status(world, pipeline, status, "A")


def test_words_may_be_small_as_in_the_apis_own_example(world: ServiceInProcess) -> None:
    pipeline = world.run([*ON, shell("A")])
    set_status(world, pipeline, "try_cancel", "A")
    assert components(world, pipeline) == {"A": "CANCELED"}


def test_what_is_for_instances_is_not_for_components(world: ServiceInProcess) -> None:
    pipeline = world.run([*ON, shell("A")])
    with pytest.raises(InvalidRequest, match="'A' is a component: RERUN is for instances"):
        world.service.set_status(pipeline, ["A"], "RERUN")


def test_only_instances_that_are_there_can_be_set_and_then_all_or_none(
    world: ServiceInProcess,
) -> None:
    pipeline = world.run([*ON, shell("A")])
    with pytest.raises(InvalidRequest, match="no instance '@B_"):
        set_status(world, pipeline, "CANCEL", "A", "B")
    assert components(world, pipeline) == {"A": "WAITING_FOR_RUNNER"}


@pytest.mark.parametrize("default", [ON_DEMAND, scheduled()])
def test_a_finished_pipeline_works_again_for_a_rerun(
    world: ServiceInProcess, default: dict[str, object]
) -> None:
    pipeline = world.run([default, schedule(occurrences="1"), shell("A"), shell("B", after="A")])
    work(world)
    assert world.state(pipeline) == "FINISHED"
    set_status(world, pipeline, "RERUN", "A")
    assert world.state(pipeline) == "SCHEDULED"
    assert components(world, pipeline) == {"A": "WAITING_FOR_RUNNER", "B": "FINISHED"}
    work(world)
    assert world.state(pipeline) == "FINISHED"


def test_of_a_finished_pipeline_a_failure_can_be_made_good_and_nothing_canceled(
    world: ServiceInProcess,
) -> None:
    default = {**ON_DEMAND, "maximumRetries": "0", "failureAndRerunMode": "cascade"}
    pipeline = world.run([default, shell("A")])
    work(world, A="FAILED")
    with pytest.raises(InvalidRequest, match="has finished: nothing of it is left"):
        set_status(world, pipeline, "CANCEL", "A")
    set_status(world, pipeline, "MARK_FINISHED", "A")
    assert components(world, pipeline) == {"A": "FINISHED"}
    assert world.state(pipeline) == "FINISHED"
