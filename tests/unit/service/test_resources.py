"""The life of resources: launched for the first who needs them, ended after the last."""

from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from taskrunner.errors import ErrorId
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import (
    ON_DEMAND,
    FakeProvider,
    T,
    alarm,
    ec2,
    ref,
    schedule,
    scheduled,
    shell,
)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def components(world: ServiceInProcess, pipeline_id: str) -> dict[str, str]:
    """The one instance of each component."""
    return {key: found[0] for key, found in world.components(pipeline_id).items()}


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
def cloud(kept: ServiceInProcess, provider: FakeProvider) -> ServiceInProcess:
    return kept.reset(provider=provider)


def group(pipeline: str, start: str = T) -> str:
    return f"resource:{pipeline}_@R_{start}"


def test_a_resource_is_launched_for_the_first_and_ended_after_the_last(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    pipeline = cloud.run(
        [
            ON_DEMAND,
            shell("Before"),
            shell("A", runsOn=ref("R"), after="Before"),
            shell("B", runsOn=ref("R"), after="A"),
            ec2("R"),
        ]
    )
    assert provider.launched == []
    cloud.conclude(cloud.take())
    assert provider.launched == ["i-1"]
    cloud.conclude(cloud.take(group(pipeline)))
    assert provider.ended == []
    cloud.conclude(cloud.take(group(pipeline)))
    assert provider.ended == ["i-1"]
    assert set(components(cloud, pipeline).values()) == {"FINISHED"}
    assert cloud.state(pipeline) == "FINISHED"


def test_a_resource_that_cannot_be_launched_fails_and_takes_its_users_along(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    provider.refuse = True
    pipeline = cloud.run(
        [
            {**ON_DEMAND, "failureAndRerunMode": "cascade"},
            alarm("Bad"),
            shell("A", runsOn=ref("R")),
            shell("B", after="A"),
            ec2("R", maximumRetries="1", onFail=ref("Bad")),
        ]
    )
    assert components(cloud, pipeline) == {"A": "CANCELED", "B": "CASCADE_FAILED", "R": "FAILED"}
    rows = cloud.instances(pipeline)
    assert (rows[f"@R_{T}"].error_message, rows[f"@R_{T}"].failures) == ("no capacity", 2)
    assert rows[f"@A_{T}"].error_id == ErrorId.RESOURCE_FAILED
    assert [a.subject for a in cloud.alarms(pipeline)] == ["R FAILED"]
    assert cloud.state(pipeline) == "FINISHED"


def test_a_resource_whose_runner_dies_is_launched_again_and_the_task_goes_on(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    pipeline = cloud.run([ON_DEMAND, shell("A", runsOn=ref("R")), ec2("R")])
    cloud.take(group(pipeline))
    provider.dead.add("i-1")
    cloud.settle()
    assert (provider.launched, components(cloud, pipeline)["R"]) == (["i-1", "i-2"], "CREATING")
    cloud.advance(5 * MINUTE)
    assert cloud.work_off(group(pipeline)) == [f"@A_{T}_Attempt=2"]
    assert set(components(cloud, pipeline).values()) == {"FINISHED"}


def test_what_a_runner_said_last_is_told_once_for_each_launch(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    provider.last_words = "no such endpoint"
    provider.dead |= {"i-1", "i-2", "i-3"}
    with capture_logs() as log:
        pipeline = cloud.run([ON_DEMAND, shell("A", runsOn=ref("R")), ec2("R")])
    cause = "its runner ended unexpectedly: no such endpoint"
    assert cloud.instances(pipeline)[f"@R_{T}"].error_message == cause
    told = {
        "event": "resource failed",
        "log_level": "warning",
        "error": cause,
        "pipeline_id": pipeline,
        "instance_id": f"@R_{T}",
    }
    assert log == [told] * 3


def test_a_resource_that_fails_last_still_ends_its_pipeline(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    pipeline = cloud.run([ON_DEMAND, shell("A", runsOn=ref("R")), ec2("R", maximumRetries="0")])
    task = cloud.take(group(pipeline))
    cloud.service.set_task_status(task.task_id, "FINISHED")
    provider.dead.add("i-1")
    cloud.service.resources.reconcile(cloud.now)  # before the scheduler had a look
    cloud.settle()
    assert components(cloud, pipeline) == {"A": "FINISHED", "R": "FAILED"}
    assert cloud.state(pipeline) == "FINISHED"


def test_a_resource_takes_its_time_to_end(cloud: ServiceInProcess, provider: FakeProvider) -> None:
    provider.slow = True
    pipeline = cloud.run([ON_DEMAND, shell("A", runsOn=ref("R")), ec2("R")])
    cloud.work_off(group(pipeline))
    assert components(cloud, pipeline)["R"] == "SHUTTING_DOWN"
    assert cloud.state(pipeline) == "SCHEDULED"
    provider.slow = False
    cloud.settle()
    assert components(cloud, pipeline)["R"] == "FINISHED"
    assert cloud.state(pipeline) == "FINISHED"


def test_terminate_after_ends_the_resource_and_whoever_still_needs_it(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    pipeline = cloud.run(
        [
            ON_DEMAND,
            shell("A", runsOn=ref("R"), reportProgressTimeout="1 day"),
            shell("Slow", workerGroup="slow", reportProgressTimeout="1 day"),
            shell("Waits", runsOn=ref("R"), after="Slow"),
            ec2("R", terminateAfter="2 hours"),
        ]
    )
    task, slow = cloud.take(group(pipeline)), cloud.take("slow")
    cloud.advance(2 * HOUR)
    assert provider.ended == ["i-1"]
    assert cloud.service.report_progress(task.task_id, {}) is True
    cloud.conclude(slow)
    assert components(cloud, pipeline) == {
        "A": "CANCELED",
        "Slow": "FINISHED",
        "Waits": "CANCELED",
        "R": "FINISHED",
    }


def test_a_daily_resource_serves_hourly_activities_and_goes_with_its_day(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    pipeline = cloud.run(
        [
            scheduled(),
            schedule(occurrences="3"),
            schedule("Day", period="1 day", occurrences="1"),
            shell("A", runsOn=ref("R")),
            ec2("R", schedule=ref("Day")),
        ]
    )
    for _ in range(3):
        assert len(cloud.work_off(group(pipeline))) == 1
        assert provider.ended == []
        cloud.advance(HOUR)
    cloud.advance(20 * HOUR)
    assert (provider.launched, provider.ended) == (["i-1"], [])
    cloud.advance(HOUR)
    assert provider.ended == ["i-1"]
    assert cloud.state(pipeline) == "FINISHED"


def test_in_a_backfill_a_resource_waits_for_activities_that_are_still_being_made(
    cloud: ServiceInProcess,
) -> None:
    pipeline = cloud.run(
        [
            scheduled(),
            schedule(startDateTime="2026-02-08T00:00:00", endDateTime="2026-02-12T00:00:00"),
            schedule("Day", period="1 day", startDateTime="2026-02-08T00:00:00", occurrences="4"),
            shell("A", runsOn=ref("R")),
            ec2("R", schedule=ref("Day")),
        ]
    )
    assert cloud.components(pipeline) == {
        "A": ["WAITING_FOR_RUNNER"] * 96,
        "R": ["CREATING"] * 4,
    }


# -- runners arrive -------------------------------------------------------------------------


def test_a_resource_runs_from_when_its_own_runner_asks_for_work(world: ServiceInProcess) -> None:
    pipeline = world.run([{**ON_DEMAND, "workerGroup": []}, shell("A", runsOn=ref("R")), ec2("R")])
    group = f"resource:{pipeline}_@R_{T}"
    assert world.statuses(pipeline)[f"@R_{T}"] == "CREATING"
    world.advance(30)
    task = world.take(group)
    assert world.statuses(pipeline)[f"@R_{T}"] == "RUNNING"
    world.conclude(task)
    assert world.statuses(pipeline) == {f"@A_{T}": "FINISHED", f"@R_{T}": "FINISHED"}


def test_a_resources_runner_has_arrived_even_if_there_is_nothing_for_it(
    world: ServiceInProcess,
) -> None:
    pipeline = world.run(
        [
            {**ON_DEMAND, "workerGroup": []},
            shell("A", runsOn=ref("R"), maximumRetries="1"),
            ec2("R"),
        ]
    )
    group = f"resource:{pipeline}_@R_{T}"
    world.conclude(world.take(group), "FAILED")  # the next try is ten minutes away
    assert world.claim(group) is None
    assert world.statuses(pipeline)[f"@R_{T}"] == "RUNNING"
