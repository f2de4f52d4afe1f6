from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from taskrunner.errors import InvalidRequest
from taskrunner.service.callers import Caller
from taskrunner.service.handlers.pipelines import describe_pipelines
from taskrunner.service.store import pauses as pause_store
from taskrunner.testing import ServiceInProcess
from taskrunner.wire.inputs import DescribePipelinesInput
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
)

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OPERATOR = Caller(account="000000000000", user="olga")


def set_status(world: ServiceInProcess, pipeline: str, status: str, *ids: str) -> None:
    world.service.set_status(pipeline, ids, status, OPERATOR)
    world.settle()


def state(world: ServiceInProcess, pipeline: str) -> Any:
    request = DescribePipelinesInput(pipeline_ids=(pipeline,))
    answer = describe_pipelines(world.service, OPERATOR, request)
    fields = answer.pipeline_description_list[0].fields
    return next(field.value for field in fields if field.key == "@pipelineState")


def hourly(world: ServiceInProcess, *objects: dict[str, Any]) -> str:
    return world.run([scheduled(maximumRetries="1"), schedule(), *objects])


# -- components -----------------------------------------------------------------------------


def test_of_a_paused_component_nothing_begins_until_it_is_resumed(
    world: ServiceInProcess,
) -> None:
    pipeline = hourly(world, shell("A"), shell("B", after="A"))
    set_status(world, pipeline, "PAUSE", "B")
    world.conclude(world.take())
    world.advance(HOUR)
    assert world.components(pipeline)["B"] == ["PAUSED", "PAUSED"]
    assert [world.take().component_id] == ["A"]  # the others go on
    assert world.claim() is None
    assert world.describe(pipeline, "B").string("@status") == "PAUSED"
    assert world.describe(pipeline, "A").string("@status") == "SCHEDULED"
    assert state(world, pipeline) == "SCHEDULED"

    set_status(world, pipeline, "RESUME", "B")
    assert world.components(pipeline)["B"] == ["WAITING_FOR_RUNNER", "WAITING_ON_DEPENDENCIES"]
    assert world.take().component_id == "B"


def test_what_stands_in_the_queue_is_out_of_it_at_once(world: ServiceInProcess) -> None:
    """Not only once the scheduler has looked: a runner that asks before gets nothing."""
    pipeline = hourly(world, shell("A"))
    world.service.set_status(pipeline, ["A"], "PAUSE")
    assert world.claim() is None
    world.settle()
    assert world.components(pipeline) == {"A": ["PAUSED"]}
    set_status(world, pipeline, "RESUME", "A")
    task = world.take()
    assert task.attempt_id == f"@A_{T}_Attempt=1"  # the same, it was never begun


def test_what_runs_goes_on_and_is_not_tried_again(world: ServiceInProcess) -> None:
    pipeline = hourly(world, shell("A"))
    task = world.take()
    set_status(world, pipeline, "PAUSE", "A")
    assert world.components(pipeline) == {"A": ["RUNNING"]}
    assert world.service.report_progress(task.task_id, {}) is False
    world.conclude(task, "FAILED", "X")
    assert world.components(pipeline) == {"A": ["PAUSED"]}
    world.advance(HOUR - MINUTE)
    assert world.claim() is None
    set_status(world, pipeline, "RESUME", "A")
    assert world.take().attempt_id == f"@A_{T}_Attempt=2"


def test_a_hand_out_that_nobody_acknowledges_comes_back_to_the_pause(
    world: ServiceInProcess,
) -> None:
    pipeline = hourly(world, shell("A"))
    world.take(acknowledge=False)
    set_status(world, pipeline, "PAUSE", "A")
    world.advance(2 * MINUTE)
    assert world.components(pipeline) == {"A": ["PAUSED"]}
    assert world.claim() is None


def test_data_nodes_and_preconditions_pause_too_and_their_time_does_not_run(
    world: ServiceInProcess,
) -> None:
    pipeline = hourly(
        world,
        data("N", precondition=ref("P")),
        check("P", preconditionTimeout="10 minutes"),
        shell("A", input=ref("N")),
    )
    world.conclude(world.take(), "FALSE")
    set_status(world, pipeline, "PAUSE", "N", "P")
    world.advance(50 * MINUTE)
    assert world.components(pipeline) == {
        "A": ["WAITING_ON_DEPENDENCIES"],
        "N": ["PAUSED"],
        "P": ["PAUSED"],
    }
    set_status(world, pipeline, "RESUME", "N", "P")
    assert world.work_off() == [f"@P_{T}_Attempt=1", f"@A_{T}_Attempt=1"]


def test_a_paused_resource_is_not_launched_and_one_that_is_up_stays(
    kept: ServiceInProcess,
) -> None:
    provider = FakeProvider()
    world = kept.reset(provider=provider)
    pipeline = world.put([scheduled(), schedule(), shell("A", runsOn=ref("R")), ec2("R")])
    set_status(world, pipeline, "PAUSE", "R")
    world.service.activate(pipeline)
    world.settle()
    assert world.components(pipeline) == {"A": ["WAITING_FOR_RUNNER"], "R": ["PAUSED"]}
    assert provider.launched == []
    set_status(world, pipeline, "RESUME", "R")
    assert provider.launched == ["i-1"]
    set_status(world, pipeline, "PAUSE", "R")
    assert provider.ended == []
    assert world.work_off(f"resource:{pipeline}_@R_{T}") == [f"@A_{T}_Attempt=1"]
    assert provider.ended == ["i-1"]


# -- instances ------------------------------------------------------------------------------


def test_one_instance_may_be_paused_alone(world: ServiceInProcess) -> None:
    pipeline = hourly(world, shell("A"))
    world.advance(HOUR)
    set_status(world, pipeline, "PAUSE", f"@A_{T}")
    assert world.components(pipeline) == {"A": ["PAUSED", "WAITING_FOR_RUNNER"]}
    assert world.describe(pipeline, "A").string("@status") == "SCHEDULED"
    assert len(world.work_off()) == 1
    set_status(world, pipeline, "RESUME", f"@A_{T}")
    assert world.work_off() == [f"@A_{T}_Attempt=1"]


def test_a_paused_instance_can_be_canceled_and_marked_finished(world: ServiceInProcess) -> None:
    pipeline = hourly(world, shell("A"), shell("B"))
    set_status(world, pipeline, "PAUSE", f"@A_{T}", f"@B_{T}")
    set_status(world, pipeline, "CANCEL", f"@A_{T}")
    set_status(world, pipeline, "MARK_FINISHED", f"@B_{T}")
    assert world.components(pipeline) == {"A": ["CANCELED"], "B": ["FINISHED"]}


def test_what_is_rerun_while_it_is_paused_waits(world: ServiceInProcess) -> None:
    pipeline = hourly(world, shell("A"))
    world.work_off()
    set_status(world, pipeline, "PAUSE", "A")
    set_status(world, pipeline, "RERUN", f"@A_{T}")
    assert world.components(pipeline) == {"A": ["PAUSED"]}


# -- pipelines ------------------------------------------------------------------------------


def test_a_paused_pipeline_begins_nothing_and_says_so(world: ServiceInProcess) -> None:
    pipeline = hourly(world, shell("A"), shell("B", after="A"))
    task = world.take()
    set_status(world, pipeline, "PAUSE", pipeline)
    world.conclude(task)
    world.advance(HOUR)
    assert world.components(pipeline) == {"A": ["FINISHED", "PAUSED"], "B": ["PAUSED", "PAUSED"]}
    assert state(world, pipeline) == world.describe(pipeline, "A").string("@status") == "PAUSED"
    world.reopen()
    assert world.claim() is None
    set_status(world, pipeline, "RESUME", pipeline)
    assert state(world, pipeline) == "SCHEDULED"
    assert len(world.work_off()) == 3
    assert set(world.statuses(pipeline).values()) == {"FINISHED"}


def test_runs_on_demand_that_are_asked_for_meanwhile_wait(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    world.work_off()
    set_status(world, pipeline, "PAUSE", pipeline)
    world.advance(MINUTE)
    world.service.activate(pipeline)
    world.settle()
    assert world.components(pipeline) == {"A": ["FINISHED", "PAUSED"]}
    set_status(world, pipeline, "RESUME", pipeline)
    assert len(world.work_off()) == 1
    assert world.state(pipeline) == "FINISHED"


def test_deactivation_ends_what_is_paused_and_the_pause_stays(world: ServiceInProcess) -> None:
    pipeline = hourly(world, shell("A"))
    set_status(world, pipeline, "PAUSE", pipeline)
    world.service.deactivate(pipeline)
    assert world.components(pipeline) == {"A": ["CANCELED"]}
    world.service.activate(pipeline)
    world.settle()
    assert world.components(pipeline) == {"A": ["PAUSED"]}


def test_it_is_known_who_paused_what_and_when(world: ServiceInProcess) -> None:
    pipeline = hourly(world, shell("A"))
    since = world.now
    set_status(world, pipeline, "PAUSE", pipeline)
    world.advance(MINUTE)
    world.service.set_status(pipeline, [pipeline], "PAUSE")  # again, by somebody else
    with world.service.store.read() as conn:
        (row,) = pause_store.load_pauses(conn, pipeline)
    assert (row.object_id, row.paused_by, row.paused_at) == (pipeline, "olga", since)
    world.service.delete_pipeline(pipeline)
    with world.service.store.read() as conn:
        assert pause_store.load_pauses(conn, pipeline) == []


# -- one by one, and what cannot be ----------------------------------------------------------


def test_each_pause_is_ended_for_itself(world: ServiceInProcess) -> None:
    pipeline = hourly(world, shell("A"))
    set_status(world, pipeline, "PAUSE", pipeline)
    set_status(world, pipeline, "PAUSE", "A")
    set_status(world, pipeline, "RESUME", pipeline)
    assert world.components(pipeline) == {"A": ["PAUSED"]}
    with pytest.raises(InvalidRequest, match="with its component: RESUME 'A' instead"):
        set_status(world, pipeline, "RESUME", f"@A_{T}")
    set_status(world, pipeline, "RESUME", "A")
    assert world.components(pipeline) == {"A": ["WAITING_FOR_RUNNER"]}
    set_status(world, pipeline, "RESUME", "A")  # no error for what is not paused


def test_what_is_paused_with_its_pipeline_is_resumed_with_it(world: ServiceInProcess) -> None:
    pipeline = hourly(world, shell("A"))
    set_status(world, pipeline, "PAUSE", pipeline)
    with pytest.raises(InvalidRequest, match=f"with its pipeline: RESUME '{pipeline}' instead"):
        set_status(world, pipeline, "RESUME", "A")


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["S"], "'S' never runs: wanted activities"),
        (["X"], "no component or instance 'X'"),
        (["A", f"@A_{T}"], "'A' is a component, others are not"),
        (["A", "{pipeline}"], "a pipeline's own id cannot stand among others"),
        ([f"@A_{T}_Attempt=1"], "no component or instance"),
    ],
)
def test_what_cannot_be_paused_is_named_and_nothing_is(
    world: ServiceInProcess, ids: list[str], message: str
) -> None:
    pipeline = hourly(world, shell("A"))
    named = [object_id.format(pipeline=pipeline) for object_id in ids]
    with pytest.raises(InvalidRequest, match=message):
        set_status(world, pipeline, "PAUSE", *named)
    assert world.components(pipeline) == {"A": ["WAITING_FOR_RUNNER"]}


def test_what_has_ended_cannot_be_paused(world: ServiceInProcess) -> None:
    pipeline = world.run([scheduled(), schedule(occurrences="2"), shell("A")])
    world.work_off()
    with pytest.raises(InvalidRequest, match="is FINISHED: only what has not ended"):
        set_status(world, pipeline, "PAUSE", f"@A_{T}")
    world.advance(HOUR)
    world.work_off()
    with pytest.raises(InvalidRequest, match="has finished: nothing of it is left"):
        set_status(world, pipeline, "PAUSE", pipeline)
