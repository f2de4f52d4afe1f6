"""Health, and what else is known of components and pipelines by their runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from taskrunner.service.callers import ANONYMOUS
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import (
    ON_DEMAND,
    T,
    check,
    data,
    ref,
    refs,
    schedule,
    scheduled,
    shell,
    values,
)

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def of_pipeline(world: ServiceInProcess, pipeline: str) -> dict[str, Any]:
    ((_row, found),) = world.service.describe_pipelines([pipeline], ANONYMOUS)
    return {key: value for key, value in found.items() if value is not None}


def of_component(world: ServiceInProcess, pipeline: str, component: str = "A") -> dict[str, Any]:
    return values(world.describe(pipeline, component))


def hourly(world: ServiceInProcess, *objects: dict[str, Any], **fields: Any) -> str:
    return world.run([scheduled(maximumRetries="0"), schedule(**fields), *objects])


def health(world: ServiceInProcess, pipeline: str, component: str = "A") -> tuple[Any, Any]:
    found = of_component(world, pipeline, component)
    return found.get("@healthStatus"), found.get("@healthStatusFromInstanceId")


# -- health ---------------------------------------------------------------------------------


def test_there_is_no_health_before_anything_has_ended(world: ServiceInProcess) -> None:
    pipeline = hourly(world, shell("A"))
    world.take()
    assert health(world, pipeline) == (None, None)
    assert "@healthStatus" not in of_pipeline(world, pipeline)


def test_health_is_that_of_what_ended_last(world: ServiceInProcess) -> None:
    pipeline = hourly(world, shell("A"))
    world.conclude(world.take(), "FAILED", "X")
    assert health(world, pipeline) == ("ERROR", f"@A_{T}")
    assert of_pipeline(world, pipeline)["@healthStatus"] == "ERROR"
    world.advance(HOUR)
    world.work_off()
    assert health(world, pipeline) == ("HEALTHY", "@A_2026-02-13T03:00:00")
    assert of_component(world, pipeline)["@healthStatusUpdatedTime"] == "2026-02-13T03:00:00"
    assert of_pipeline(world, pipeline)["@healthStatus"] == "HEALTHY"
    world.clock.advance(MINUTE)
    world.service.set_status(pipeline, [f"@A_{T}"], "RERUN")
    world.settle()
    world.conclude(world.take(), "FAILED", "X")
    assert health(world, pipeline) == ("ERROR", f"@A_{T}")
    world.clock.advance(MINUTE)
    world.service.set_status(pipeline, [f"@A_{T}"], "MARK_FINISHED")
    assert health(world, pipeline)[0] == "HEALTHY"


@pytest.mark.parametrize("end", ["CANCELED", "CASCADE_FAILED"])
def test_other_bad_ends_are_errors_too(world: ServiceInProcess, end: str) -> None:
    default = scheduled(maximumRetries="0", failureAndRerunMode="cascade")
    pipeline = world.run([default, schedule(), shell("A", after="B"), shell("B")])
    if end == "CANCELED":
        world.service.set_status(pipeline, [f"@A_{T}"], "CANCEL")
        world.settle()
    world.conclude(world.take(), "FAILED")
    assert world.components(pipeline)["A"] == [end]
    assert health(world, pipeline)[0] == "ERROR"


def test_a_component_has_the_errors_of_its_own_preconditions(world: ServiceInProcess) -> None:
    """Two share one; what it says of the one says nothing of the other."""
    pipeline = hourly(
        world,
        data("N", precondition=ref("P")),
        data("M", precondition=ref("P"), directoryPath="s3://b/other"),
        check("P"),
        shell("A", input=refs("N", "M")),
    )
    for _ in range(2):
        task = world.take()
        world.conclude(task, "FAILED" if "_N_" in task.attempt_id else "FINISHED", "X")
    assert health(world, pipeline, "N") == ("ERROR", f"@P_N_{T}")
    assert health(world, pipeline, "M") == ("HEALTHY", f"@M_{T}")
    assert of_pipeline(world, pipeline)["@healthStatus"] == "ERROR"


def test_what_was_skipped_says_nothing(world: ServiceInProcess) -> None:
    pipeline = hourly(world, shell("A"))
    world.work_off()
    world.advance(HOUR)
    world.service.deactivate(pipeline)
    world.clock.advance(HOUR)
    world.service.activate(pipeline, start=world.now)
    world.settle()
    assert world.components(pipeline)["A"] == ["FINISHED", "SKIPPED", "WAITING_FOR_RUNNER"]
    assert health(world, pipeline) == ("HEALTHY", f"@A_{T}")


# -- runs -----------------------------------------------------------------------------------


def test_the_runs_of_a_component(world: ServiceInProcess) -> None:
    pipeline = hourly(world, shell("A"), shell("B", after="A"), occurrences="4")
    world.advance(HOUR)
    world.conclude(world.take())
    found = of_component(world, pipeline)
    assert found["@status"] == "SCHEDULED"
    assert found["@latestRunTime"] == "2026-02-13T03:00:00"
    assert found["@latestCompletedRunTime"] == T
    assert found["@nextRunTime"] == "2026-02-13T04:00:00"
    assert found["@activeInstances"] == ">@A_2026-02-13T03:00:00"
    b = of_component(world, pipeline, "B")
    assert b["@activeInstances"] == f">@B_{T}"
    assert not {"@latestCompletedRunTime", "@healthStatus"} & b.keys()
    schedules = of_component(world, pipeline, "S")
    assert schedules["@firstActivationTime"] == T
    assert not {"@latestRunTime", "@nextRunTime", "@lastDeactivatedTime"} & schedules.keys()


def test_the_runs_of_a_pipeline(world: ServiceInProcess) -> None:
    pipeline = world.put([scheduled(), schedule(occurrences="4"), shell("A")])
    runs = {"@nextRunTime", "@scheduledStartTime", "@scheduledEndTime", "@healthStatus"}
    assert not runs & of_pipeline(world, pipeline).keys()
    world.service.activate(pipeline)
    world.settle()
    world.work_off()
    found = of_pipeline(world, pipeline)
    start = world.now
    assert (found["@scheduledStartTime"], found["@scheduledEndTime"]) == (start, start + 4 * HOUR)
    assert (found["@nextRunTime"], found["@healthStatus"]) == (start + HOUR, "HEALTHY")
    world.advance(MINUTE)
    world.service.deactivate(pipeline)
    found = of_pipeline(world, pipeline)
    assert found["@lastDeactivatedTime"] == start + MINUTE
    assert found["@pipelineState"] == "INACTIVE"
    assert "@nextRunTime" not in found
    component = of_component(world, pipeline)
    assert component["@status"] == "INACTIVE"
    assert component["@lastDeactivatedTime"] == "2026-02-13T02:01:00"
    assert "@nextRunTime" not in component


def test_a_schedule_without_an_end_and_runs_on_demand_have_none(world: ServiceInProcess) -> None:
    endless = of_pipeline(world, hourly(world, shell("A")))
    assert "@scheduledStartTime" in endless
    assert "@scheduledEndTime" not in endless
    on_demand = of_pipeline(world, world.run([ON_DEMAND, shell("A")]))
    assert not {"@scheduledStartTime", "@scheduledEndTime", "@nextRunTime"} & on_demand.keys()


def test_an_object_that_cannot_run_says_what_is_wrong_with_it(world: ServiceInProcess) -> None:
    pipeline = world.put([scheduled(), schedule(), shell("A", dependsOn=ref("Nowhere"))])
    assert "Nowhere" in of_component(world, pipeline)["@error"]
    assert "@error" not in of_component(world, pipeline, "S")


# -- what an instance waits for ---------------------------------------------------------------


def test_what_has_not_finished_is_waited_on(world: ServiceInProcess) -> None:
    pipeline = hourly(
        world, data("N", precondition=ref("P")), check("P"), shell("B"), shell("A", input=ref("N"))
    )
    waits = {key: values(world.describe(pipeline, f"@{key}_{T}")) for key in ("A", "N", "P")}
    assert waits["A"]["@waitingOn"] == f">@N_{T}"
    assert waits["N"]["@waitingOn"] == f">@P_{T}"
    assert waits["P"]["@waitingOn"] == "no runner asks for the work of the worker group 'wg'"
    world.work_off()
    assert "@waitingOn" not in values(world.describe(pipeline, f"@A_{T}"))
