"""Runs on demand take turns: as many are active as Default's maxActiveInstances says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from taskrunner.model.instances import instance_id
from taskrunner.model.parameters import with_values
from taskrunner.service.store import runs
from taskrunner.service.store.tables import METADATA
from taskrunner.testing import ServiceInProcess
from taskrunner.testing.service import as_definition
from tests.unit.service.worlds import (
    ON_DEMAND,
    FakeProvider,
    check,
    data,
    ec2,
    ref,
    schedule,
    scheduled,
    shell,
)

MINUTE = timedelta(minutes=1)
FAILS = {**ON_DEMAND, "maximumRetries": "0"}
CASCADES = {**FAILS, "failureAndRerunMode": "cascade"}


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
def world(kept: ServiceInProcess, provider: FakeProvider) -> ServiceInProcess:
    return kept.reset(provider=provider)


def activated(world: ServiceInProcess, times: int, *objects: dict[str, Any]) -> str:
    """A pipeline of these objects, activated so many times at once."""
    pipeline = world.put(list(objects))
    for _ in range(times):
        world.service.activate(pipeline)
    world.settle()
    return pipeline


def statuses(world: ServiceInProcess, pipeline: str, component: str = "A") -> list[str]:
    """What the runs' instances of a component are, oldest first; waiting ones as "-"."""
    found = world.components(pipeline)[component]
    return ["-" if status == "WAITING_ON_DEPENDENCIES" else status for status in found]


def line(world: ServiceInProcess, pipeline: str) -> list[str]:
    with world.service.store.read() as conn:
        return [str(run.state) for run in runs.load_runs(conn, pipeline)]


# -- the limit ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "at_once"),
    [({}, 1), ({"maxActiveInstances": "1"}, 1)]
    + [({"maxActiveInstances": str(limit)}, limit) for limit in (2, 5)],
)
def test_as_many_runs_are_active_as_default_says(
    world: ServiceInProcess, limit: dict[str, str], at_once: int
) -> None:
    pipeline = activated(world, 7, {**ON_DEMAND, **limit}, shell("A"), shell("B", after="A"))
    done = []
    while tasks := [task for _ in range(7) if (task := world.claim()) is not None]:
        assert len(tasks) <= at_once
        for task in tasks:
            world.conclude(task)
        done += [task.attempt_id for task in tasks]
    assert len(done) == 14
    assert world.state(pipeline) == "FINISHED"
    firsts = [name for name in done if name.startswith("@A_")]
    assert firsts == sorted(firsts)


def test_a_run_begins_only_after_all_of_the_run_before(world: ServiceInProcess) -> None:
    activated(world, 3, ON_DEMAND, shell("A"), shell("B", after="A"), shell("C"))
    done = [name.partition("_Attempt")[0] for name in world.work_off()]
    starts = [name[3:] for name in done]
    assert starts == sorted(starts)
    assert len(set(starts)) == 3


def test_the_limit_may_come_from_a_parameter(world: ServiceInProcess) -> None:
    """Each run goes by the limit of its own activation."""
    objects = [{**ON_DEMAND, "maxActiveInstances": "#{myMost}"}, shell("A")]
    most = {"id": "myMost", "type": "Integer", "default": "2"}
    pipeline = world.put({"objects": objects, "parameters": [most]})
    for _ in range(2):
        world.service.activate(pipeline)
    world.service.activate(pipeline, lambda stored: with_values(stored, {"myMost": ["1"]}))
    world.settle()
    waits = "WAITING_FOR_RUNNER"
    assert statuses(world, pipeline) == [waits, waits, "-"]
    world.conclude(world.take())
    assert statuses(world, pipeline) == ["FINISHED", waits, "-"]
    world.conclude(world.take())
    assert statuses(world, pipeline) == ["FINISHED", "FINISHED", waits]


def test_a_lower_limit_of_one_component_holds_within_that_of_the_runs(
    world: ServiceInProcess,
) -> None:
    default = {**ON_DEMAND, "maxActiveInstances": "2"}
    pipeline = activated(world, 2, default, shell("A", maxActiveInstances="1"), shell("B"))
    assert statuses(world, pipeline) == ["WAITING_FOR_RUNNER", "-"]
    assert statuses(world, pipeline, "B") == ["WAITING_FOR_RUNNER"] * 2
    assert len(world.work_off()) == 4


def test_nothing_of_a_waiting_run_begins(world: ServiceInProcess, provider: FakeProvider) -> None:
    """Not its resources, nor its preconditions, nor the data nodes that nobody writes."""
    pipeline = activated(
        world,
        2,
        ON_DEMAND,
        ec2("R"),
        ec2("Unused"),
        data("In", precondition=ref("P")),
        check("P"),
        data("Plain"),
        shell("A", input=[ref("In"), ref("Plain")], workerGroup="wg"),
        shell("B", runsOn=ref("R"), after="A"),
    )
    waiting = [row for row in world.instances(pipeline).values() if row.scheduled_start > world.now]
    assert len(waiting) == 7
    assert {str(row.status) for row in waiting} == {"WAITING_ON_DEPENDENCIES"}
    world.conclude(world.take(), "FINISHED")
    assert statuses(world, pipeline, "P") == ["FINISHED", "-"]
    world.work_off()
    assert len(provider.launched) == 1
    group = f"resource:{pipeline}_{instance_id('R', world.now)}"
    assert world.work_off(group)
    world.settle()
    # The resource of the first run is gone before the second run begins.
    assert statuses(world, pipeline, "R")[0] == "FINISHED"
    assert statuses(world, pipeline, "P") == ["FINISHED", "WAITING_FOR_RUNNER"]


# -- what becomes of the run before ---------------------------------------------------------


@pytest.mark.parametrize("default", [FAILS, CASCADES])
def test_a_run_that_fails_makes_way(world: ServiceInProcess, default: dict[str, Any]) -> None:
    """Also where its other activities wait for ever, and a resource for them."""
    pipeline = activated(world, 2, default, shell("A"), shell("B", after="A"))
    world.conclude(world.take(), "FAILED", "OperatorError")
    assert statuses(world, pipeline) == ["FAILED", "WAITING_FOR_RUNNER"]
    assert len(world.work_off()) == 2
    blocked = "CASCADE_FAILED" if default is CASCADES else "-"
    assert statuses(world, pipeline, "B") == [blocked, "FINISHED"]


def test_a_resource_that_waits_for_the_blocked_does_not_keep_the_next_run(
    world: ServiceInProcess,
) -> None:
    resource = {"runsOn": ref("R"), "workerGroup": []}
    pipeline = activated(
        world, 2, FAILS, ec2("R"), shell("A", **resource), shell("B", after="A", **resource)
    )
    group = f"resource:{pipeline}_{instance_id('R', world.now)}"
    world.conclude(world.take(group), "FAILED", "OperatorError")
    assert statuses(world, pipeline, "B") == ["-", "-"]
    assert statuses(world, pipeline) == ["FAILED", "WAITING_FOR_RUNNER"]


def test_a_run_whose_resource_cannot_be_launched_makes_way(
    world: ServiceInProcess, provider: FakeProvider
) -> None:
    provider.refuse = True
    pipeline = activated(world, 2, FAILS, ec2("R"), shell("A", runsOn=ref("R"), workerGroup=[]))
    assert statuses(world, pipeline) == ["CANCELED", "CANCELED"]
    assert statuses(world, pipeline, "R") == ["FAILED", "FAILED"]
    assert world.state(pipeline) == "FINISHED"


def test_a_run_that_tries_again_keeps_its_place(world: ServiceInProcess) -> None:
    pipeline = activated(world, 2, ON_DEMAND, shell("A"))
    world.conclude(world.take(), "FAILED", "OperatorError")
    world.advance(9 * MINUTE)
    assert statuses(world, pipeline) == ["WAITING_FOR_RUNNER", "-"]
    world.advance(MINUTE)
    assert [name[-1] for name in world.work_off()] == ["2", "1"]


def test_runs_that_were_canceled_make_way(world: ServiceInProcess) -> None:
    pipeline = activated(world, 4, ON_DEMAND, shell("A"))
    world.take()
    first, second, *_ = world.instances(pipeline)
    world.service.set_status(pipeline, [second], "CANCEL")
    world.settle()
    running = "RUNNING"
    assert statuses(world, pipeline) == [running, "CANCELED", "-", "-"]
    world.service.set_status(pipeline, [first], "CANCEL")
    world.settle()
    assert statuses(world, pipeline) == ["CANCELED"] * 2 + ["WAITING_FOR_RUNNER", "-"]
    third = list(world.instances(pipeline))[2]
    world.service.set_status(pipeline, [third], "MARK_FINISHED")
    world.settle()
    assert statuses(world, pipeline)[2:] == ["FINISHED", "WAITING_FOR_RUNNER"]


def test_a_rerun_neither_waits_nor_makes_others_wait(world: ServiceInProcess) -> None:
    pipeline = activated(world, 3, {**ON_DEMAND, "maxActiveInstances": "1"}, shell("A"))
    first = next(iter(world.instances(pipeline)))
    world.conclude(world.take())
    second = world.take()
    world.service.set_status(pipeline, [first], "RERUN")
    world.settle()
    again = world.take()
    assert again.attempt_id == f"{first}_Attempt=2"
    world.conclude(second)
    assert statuses(world, pipeline) == ["RUNNING", "FINISHED", "WAITING_FOR_RUNNER"]
    world.conclude(world.take())
    world.conclude(again)
    assert world.state(pipeline) == "FINISHED"


def test_nor_does_one_of_the_run_that_ended_last(world: ServiceInProcess) -> None:
    """Nobody waited when it ended, so that nobody looked at the line then."""
    pipeline = activated(world, 1, FAILS, shell("A"), shell("B", after="A"))
    world.conclude(world.take(), "FAILED", "OperatorError")
    first = next(name for name in world.instances(pipeline) if name.startswith("@A"))
    world.service.set_status(pipeline, [first], "RERUN")
    world.settle()
    world.service.activate(pipeline)
    world.settle()
    assert statuses(world, pipeline) == ["WAITING_FOR_RUNNER"] * 2


# -- the pipeline ---------------------------------------------------------------------------


@pytest.mark.parametrize("cancel_active", [False, True])
def test_deactivation_ends_the_runs_that_wait(
    world: ServiceInProcess, *, cancel_active: bool
) -> None:
    pipeline = activated(world, 3, ON_DEMAND, shell("A"), shell("B", after="A"))
    task = world.take()
    world.service.deactivate(pipeline, cancel_active=cancel_active)
    world.settle()
    assert statuses(world, pipeline)[1:] == ["CANCELED"] * 2
    world.service.activate(pipeline)
    world.settle()
    if not cancel_active:
        assert statuses(world, pipeline)[3] == "-"
        world.conclude(task)
    assert statuses(world, pipeline)[3] == "WAITING_FOR_RUNNER"
    assert len(world.work_off()) == 2
    assert world.state(pipeline) == "FINISHED"


def test_deletion_leaves_nothing_of_the_line(world: ServiceInProcess) -> None:
    pipeline = activated(world, 3, ON_DEMAND, shell("A"))
    world.service.delete_pipeline(pipeline)
    world.settle()
    with world.service.store.read() as conn:
        left = [
            name
            for name, table in METADATA.tables.items()
            if name not in {"pipelines", "store_identity", "data_keys"}
            and conn.execute(table.select()).first()
        ]
    assert left == []


def test_the_line_outlives_the_service(world: ServiceInProcess) -> None:
    pipeline = activated(world, 3, ON_DEMAND, shell("A"))
    task = world.take()
    world.reopen()
    world.conclude(task)
    assert statuses(world, pipeline) == ["FINISHED", "WAITING_FOR_RUNNER", "-"]
    assert len(world.work_off()) == 2


def test_the_line_is_as_long_as_what_is_not_over(world: ServiceInProcess) -> None:
    pipeline = activated(world, 3, ON_DEMAND, shell("A"))
    assert line(world, pipeline) == ["ACTIVE", "WAITING", "WAITING"]
    world.work_off()
    for _ in range(5):
        world.advance(MINUTE)
        world.service.activate(pipeline)
        world.settle()
        world.work_off()
    assert line(world, pipeline) == ["ACTIVE"]


def test_a_schedule_takes_no_turns(world: ServiceInProcess) -> None:
    pipeline = activated(
        world, 1, scheduled(), schedule(startDateTime="2026-02-13T00:00:00"), shell("A")
    )
    assert statuses(world, pipeline) == ["WAITING_FOR_RUNNER"] * 3
    assert line(world, pipeline) == []


def test_runs_wait_for_their_turn_also_when_the_pipeline_has_a_schedule_since(
    world: ServiceInProcess,
) -> None:
    days = schedule(startDateTime="2026-02-14T00:00:00")
    pipeline = activated(world, 2, scheduled("ondemand"), days, shell("A"))
    changed = [scheduled(), days, shell("A")]
    world.service.put_definition(pipeline, as_definition(changed))
    world.service.activate(pipeline)
    world.settle()
    assert statuses(world, pipeline) == ["WAITING_FOR_RUNNER", "-"]
    assert len(world.work_off()) == 2
