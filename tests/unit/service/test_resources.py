"""The life of resources: launched for the first who needs them, ended after the last."""

from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from taskrunner.errors import ErrorId
from taskrunner.service.resources.base import ResourceBusy, ResourceFailure
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
    assert (provider.launched, components(cloud, pipeline)["R"]) == (["i-1", "i-2"], "ACTIVATING")
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
        "R": "TIMEDOUT",
    }
    row = cloud.instances(pipeline)[f"@R_{T}"]
    said = "terminateAfter (2:00:00) has passed"
    assert (row.error_id, row.error_message) == (ErrorId.RESOURCE_TIMEOUT, said)


def test_a_round_that_began_before_the_activation_launches_it_once(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    resource = ec2("R", terminateAfter="1 hour")
    pipeline = cloud.put([ON_DEMAND, shell("A", runsOn=ref("R")), resource])
    began = cloud.now
    cloud.clock.advance(0.1)
    cloud.service.activate(pipeline)
    while not provider.launched:
        cloud.service.scheduler.tick(cloud.now)
        cloud.service.resources.reconcile(began)
    cloud.advance(HOUR)
    assert components(cloud, pipeline)["R"] == "TIMEDOUT"
    assert provider.launched == ["i-1"]


def test_whoever_runs_on_it_does_not_wait_until_it_is_gone(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    provider.slow = True
    pipeline = cloud.run(
        [
            ON_DEMAND,
            alarm("Bad"),
            shell("A", runsOn=ref("R"), reportProgressTimeout="1 day"),
            ec2("R", terminateAfter="2 hours", onFail=ref("Bad")),
        ]
    )
    task = cloud.take(group(pipeline))
    cloud.advance(2 * HOUR)
    assert components(cloud, pipeline) == {"A": "CANCELED", "R": "SHUTTING_DOWN"}
    assert cloud.service.report_progress(task.task_id, {}) is True
    # A rerun waits for the machine that is on its way out, and is not taken for its victim.
    cloud.service.set_status(pipeline, [f"@A_{T}"], "RERUN")
    cloud.settle()
    assert components(cloud, pipeline)["A"] == "WAITING_FOR_RUNNER"
    provider.slow = False
    cloud.settle()
    assert (provider.launched, components(cloud, pipeline)["R"]) == (["i-1", "i-2"], "ACTIVATING")
    cloud.advance(2 * HOUR)
    assert components(cloud, pipeline) == {"A": "CANCELED", "R": "TIMEDOUT"}
    assert [a.subject for a in cloud.alarms(pipeline)] == ["R TIMEDOUT"]


def test_a_task_that_fails_ends_the_resource_where_it_says_so(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    for word, left in (("continue", "WAITING_FOR_RUNNER"), ("terminate", "CANCELED")):
        pipeline = cloud.run(
            [
                ON_DEMAND,
                shell("A", runsOn=ref("R"), maximumRetries="0"),
                shell("B", runsOn=ref("R")),
                ec2("R", actionOnTaskFailure=word),
            ]
        )
        start = min(row.scheduled_start for row in cloud.instances(pipeline).values())
        queue = f"resource:{pipeline}_@R_{start:%Y-%m-%dT%H:%M:%S}"
        cloud.conclude(cloud.take(queue), "FAILED")
        statuses = components(cloud, pipeline)
        assert sorted((statuses["A"], statuses["B"])) == sorted(("FAILED", left))
        assert statuses["R"] == ("RUNNING" if word == "continue" else "FINISHED")
        cloud.advance(MINUTE)
    assert provider.ended == ["i-2"]


def test_a_runner_that_does_not_come_in_time_is_made_again_and_then_given_up(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    resource = ec2("R", initTimeout="10 minutes", maximumRetries="1")
    pipeline = cloud.run([ON_DEMAND, shell("A", runsOn=ref("R")), resource])
    cloud.advance(10 * MINUTE)
    assert (provider.launched, provider.ended) == (["i-1", "i-2"], ["i-1"])
    provider.last_words = "it booted for ever"
    cloud.advance(10 * MINUTE)
    assert provider.ended == ["i-1", "i-2"]
    row = cloud.instances(pipeline)[f"@R_{T}"]
    assert (row.status, row.error_message) == (
        "FAILED",
        ("its runner did not ask for work within initTimeout (0:10:00): it booted for ever"),
    )


def test_a_runner_that_came_is_not_held_to_init_timeout(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    resource = ec2("R", initTimeout="10 minutes")
    fields = {"runsOn": ref("R"), "reportProgressTimeout": "1 day"}
    pipeline = cloud.run([ON_DEMAND, shell("A", **fields), resource])
    cloud.take(group(pipeline))
    cloud.advance(HOUR)
    assert provider.launched == ["i-1"]


def test_a_resource_that_is_lost_is_not_made_again_with_retrynone(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    resource = ec2("R", actionOnResourceFailure="retrynone")
    pipeline = cloud.run([ON_DEMAND, shell("A", runsOn=ref("R")), resource])
    provider.dead.add("i-1")
    cloud.settle()
    assert provider.launched == ["i-1"]
    assert components(cloud, pipeline) == {"A": "CANCELED", "R": "FAILED"}


def test_what_no_retry_would_mend_is_tried_once_and_no_capacity_after_retry_delay(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    full = ResourceFailure("no capacity", wait=True)
    provider.failures = [full, ResourceFailure("no such image", permanent=True)]
    resource = ec2("R", retryDelay="20 minutes", maximumRetries="5")
    pipeline = cloud.run([ON_DEMAND, shell("A", runsOn=ref("R")), resource])
    row = cloud.instances(pipeline)[f"@R_{T}"]
    assert (len(provider.wanted), row.status, row.error_message) == (1, "CREATING", "no capacity")
    cloud.advance(19 * MINUTE)
    assert len(provider.wanted) == 1
    cloud.advance(MINUTE)
    row = cloud.instances(pipeline)[f"@R_{T}"]
    assert (len(provider.wanted), row.status, row.error_message) == (2, "FAILED", "no such image")


def test_an_api_that_is_busy_costs_no_retry_and_is_said(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    provider.failures = [ResourceBusy("throttled")]
    pipeline = cloud.run([ON_DEMAND, shell("A", runsOn=ref("R")), ec2("R", maximumRetries="0")])
    assert provider.launched == ["i-1"]
    row = cloud.instances(pipeline)[f"@R_{T}"]
    assert (row.status, row.failures, row.error_message) == ("ACTIVATING", 0, None)


def test_a_provider_is_told_what_the_definition_says(
    cloud: ServiceInProcess, provider: FakeProvider
) -> None:
    cloud.run(
        [
            {**ON_DEMAND, "region": "eu-west-1"},
            alarm("Bad"),
            shell("A", runsOn=ref("R")),
            {"id": "P", "type": "HttpProxy", "hostname": "proxy-#{@scheduledStartTime}"},
            ec2("R", instanceType="m5.large", httpProxy=ref("P"), onFail=ref("Bad")),
        ]
    )
    (wanted,) = provider.wanted
    assert wanted.fields.string("instanceType") == "m5.large"
    assert wanted.fields.string("region") == "eu-west-1"
    assert wanted.referred["P"].string("hostname") == f"proxy-{T}"
    assert (wanted.pipeline, wanted.is_last) == ("test", False)


def test_a_field_that_has_no_value_is_a_failure_of_the_resource(cloud: ServiceInProcess) -> None:
    resource = ec2("R", instanceType="#{nothing}")
    pipeline = cloud.run([ON_DEMAND, shell("A", runsOn=ref("R")), resource])
    row = cloud.instances(pipeline)[f"@R_{T}"]
    assert (row.status, row.failures) == ("FAILED", 1)
    assert "nothing" in (row.error_message or "")


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
            scheduled(maxActiveInstances="96"),
            schedule(startDateTime="2026-02-08T00:00:00", endDateTime="2026-02-12T00:00:00"),
            schedule("Day", period="1 day", startDateTime="2026-02-08T00:00:00", occurrences="4"),
            shell("A", runsOn=ref("R")),
            ec2("R", schedule=ref("Day")),
        ]
    )
    assert cloud.components(pipeline) == {
        "A": ["WAITING_FOR_RUNNER"] * 96,
        "R": ["ACTIVATING"] * 4,
    }


# -- runners arrive -------------------------------------------------------------------------


def test_a_resource_runs_from_when_its_own_runner_asks_for_work(world: ServiceInProcess) -> None:
    pipeline = world.run([{**ON_DEMAND, "workerGroup": []}, shell("A", runsOn=ref("R")), ec2("R")])
    group = f"resource:{pipeline}_@R_{T}"
    assert world.statuses(pipeline)[f"@R_{T}"] == "ACTIVATING"
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
