"""What fields on attempts, lateness and alarms do, for each category of objects that has them.

The registry of effects (tests/effects.py) names these tests.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from taskrunner.service.resources.rules import Rules
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import (
    ON_DEMAND,
    FakeProvider,
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
)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
P, A, D, R = f"@P_{T}", f"@A_{T}", f"@D_{T}", f"@R_{T}"
GOOD: dict[str, Any] = {"onSuccess": ref("Told")}
BAD: dict[str, Any] = {"onFail": ref("Told")}
LATE: dict[str, Any] = {"onLateAction": ref("Told"), "lateAfterTimeout": "5 minutes"}


def told(world: ServiceInProcess, pipeline: str) -> list[str]:
    return [found.subject for found in world.alarms(pipeline)]


# -- preconditions --------------------------------------------------------------------------


#: Lateness means nothing on demand.
ONCE = [scheduled(), schedule(occurrences="1")]


def guarded(world: ServiceInProcess, **fields: Any) -> str:
    guarding = [alarm("Told"), shell("A", precondition=ref("P")), check("P", **fields)]
    return world.run([*ONCE, *guarding])


def test_a_precondition_raises_its_alarms(world: ServiceInProcess) -> None:
    pipeline = guarded(world, **GOOD)
    world.conclude(world.take())
    assert told(world, pipeline) == ["P FINISHED"]
    pipeline = guarded(world, **BAD, maximumRetries="0")
    while (task := world.take()).component_id != "P":
        world.conclude(task)
    world.conclude(task, "FAILED")
    assert told(world, pipeline) == ["P FAILED"]


def test_a_precondition_is_late_when_it_says(world: ServiceInProcess) -> None:
    pipeline = guarded(world, **LATE)
    world.advance(5 * MINUTE - timedelta(seconds=1))
    assert told(world, pipeline) == []
    world.advance(timedelta(seconds=1))
    assert told(world, pipeline) == ["P WAITING_FOR_RUNNER"]


def test_a_precondition_is_tried_so_often_and_after_so_long(world: ServiceInProcess) -> None:
    pipeline = guarded(world, maximumRetries="1", retryDelay="30 minutes")
    world.conclude(world.take(), "FAILED")
    world.advance(29 * MINUTE)
    assert world.claim() is None
    world.advance(MINUTE)
    world.conclude(world.take(), "FAILED")
    assert world.statuses(pipeline)[P] == "FAILED"


def test_a_precondition_that_reports_nothing_loses_its_attempt(world: ServiceInProcess) -> None:
    pipeline = guarded(world, reportProgressTimeout="2 minutes")
    world.take()
    world.advance(2 * MINUTE - timedelta(seconds=1))
    assert world.statuses(pipeline)[P] == "RUNNING"
    world.advance(timedelta(seconds=1))
    assert world.statuses(pipeline)[P] == "WAITING_FOR_RUNNER"


def test_a_precondition_that_does_not_hold_in_time_has_failed(world: ServiceInProcess) -> None:
    pipeline = guarded(world, preconditionTimeout="30 minutes", retryDelay="10 minutes")
    for _ in range(3):
        world.conclude(world.take(), "FALSE")
        assert world.statuses(pipeline)[P] != "FAILED"
        world.advance(10 * MINUTE)
    assert world.statuses(pipeline)[P] == "FAILED"


@pytest.mark.parametrize("mode", ["none", "cascade"])
def test_a_precondition_cascades_what_failed_before_it(world: ServiceInProcess, mode: str) -> None:
    pipeline = world.run(
        [
            ON_DEMAND,
            shell("Writes", output=ref("D"), maximumRetries="0"),
            data("D", precondition=ref("P")),
            check("P", failureAndRerunMode=mode),
            shell("A", input=ref("D")),
        ]
    )
    world.conclude(world.take(), "FAILED")
    expected = "CANCELED" if mode == "cascade" else "WAITING_ON_DEPENDENCIES"
    assert world.statuses(pipeline)[P] == expected


# -- data nodes -----------------------------------------------------------------------------


def test_a_data_node_raises_its_alarms(world: ServiceInProcess) -> None:
    world_objects = [ON_DEMAND, alarm("Told"), shell("A", input=ref("D"))]
    pipeline = world.run([*world_objects, data("D", **GOOD)])
    assert told(world, pipeline) == ["D FINISHED"]
    objects = [
        *world_objects,
        shell("Writes", output=ref("D"), maximumRetries="0"),
        data("D", failureAndRerunMode="cascade", **BAD),
    ]
    pipeline = world.run(objects)
    while (task := world.take()).component_id != "Writes":
        world.conclude(task)
    world.conclude(task, "FAILED")
    assert told(world, pipeline) == ["D CASCADE_FAILED"]


def test_a_data_node_is_late_when_it_says(world: ServiceInProcess) -> None:
    pipeline = world.run([*ONCE, alarm("Told"), shell("W", output=ref("D")), data("D", **LATE)])
    world.advance(5 * MINUTE)
    assert told(world, pipeline) == ["D WAITING_ON_DEPENDENCIES"]


def test_a_data_node_waits_for_what_it_depends_on(world: ServiceInProcess) -> None:
    pipeline = world.run(
        [
            ON_DEMAND,
            shell("First"),
            data("D", dependsOn=ref("First")),
            shell("A", input=ref("D")),
        ]
    )
    assert world.statuses(pipeline)[D] == "WAITING_ON_DEPENDENCIES"
    world.conclude(world.take())
    assert world.statuses(pipeline)[D] == "FINISHED"


def test_a_data_nodes_own_worker_group_checks_its_preconditions(world: ServiceInProcess) -> None:
    pipeline = world.run(
        [
            ON_DEMAND,
            data("D", precondition=ref("P"), workerGroup="near"),
            check("P"),
            shell("A", input=ref("D")),
        ]
    )
    assert world.claim() is None
    world.conclude(world.take("near"))
    world.conclude(world.take())
    assert set(world.statuses(pipeline).values()) == {"FINISHED"}


def test_a_data_nodes_own_resource_is_launched_for_its_preconditions(
    kept: ServiceInProcess,
) -> None:
    provider = FakeProvider()
    world = kept.reset(provider=provider)
    objects = [
        scheduled(),
        schedule(occurrences="1"),
        data("D", precondition=ref("P"), runsOn=ref("R")),
        check("P"),
        shell("A", input=ref("D")),
    ]
    # Its schedule is that of the node that needs it.
    resource = ec2("R", parent=ref("Bare"))
    pipeline = world.run([*objects, resource, {"id": "Bare", "myNote": "not Default"}])
    assert (provider.launched, world.claim()) == (["i-1"], None)
    world.conclude(world.take(f"resource:{pipeline}_{R}"))
    assert provider.ended == ["i-1"]
    world.conclude(world.take())
    assert set(world.statuses(pipeline).values()) == {"FINISHED"}


def test_a_rule_is_missed_for_a_data_nodes_resource_too(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=Rules())
    objects = [ON_DEMAND, data("D", precondition=ref("P"), runsOn=ref("R")), check("P"), ec2("R")]
    pipeline = world.put([*objects, shell("A", input=ref("D"))])
    assert [found.id for found in world.service.look_at_places(pipeline)] == ["R"]
    # Without a precondition nothing of it runs anywhere.
    pipeline = world.put([ON_DEMAND, data("D", runsOn=ref("R")), ec2("R"), shell("A")])
    assert list(world.service.look_at_places(pipeline)) == []


@pytest.mark.parametrize(("style", "at"), [("cron", "02"), ("timeseries", "03")])
def test_a_data_node_has_a_schedule_and_an_end_of_the_period(
    world: ServiceInProcess, style: str, at: str
) -> None:
    pipeline = world.run(
        [
            {"id": "Default", "workerGroup": "wg"},
            schedule("Own", occurrences="1"),
            data("D", schedule=ref("Own"), scheduleType=style),
            shell("A", schedule=ref("Own"), scheduleType=style, input=ref("D")),
        ]
    )
    status = "FINISHED" if at == "02" else "WAITING_ON_DEPENDENCIES"
    assert world.statuses(pipeline)[D] == status
    world.advance(HOUR)
    assert world.statuses(pipeline)[D] == "FINISHED"


def test_a_data_nodes_own_schedule_has_its_own_periods(world: ServiceInProcess) -> None:
    pipeline = world.run(
        [
            *ONCE,
            schedule("Long", period="1 day", occurrences="1"),
            data("D", schedule=ref("Long")),
            shell("A", input=ref("D")),
        ]
    )
    rows = world.instances(pipeline)
    assert rows[D].scheduled_end - rows[D].scheduled_start == 24 * HOUR
    assert rows[A].scheduled_end - rows[A].scheduled_start == HOUR


# -- resources ------------------------------------------------------------------------------


def test_a_resource_raises_its_alarms(kept: ServiceInProcess) -> None:
    world = kept.reset(provider=FakeProvider())
    objects = [ON_DEMAND, alarm("Told"), shell("A", runsOn=ref("R"))]
    pipeline = world.run([*objects, ec2("R", **GOOD)])
    world.conclude(world.take(f"resource:{pipeline}_{R}"))
    assert told(world, pipeline) == ["R FINISHED"]
    pipeline = world.run([*ONCE, *objects[1:], ec2("R", **LATE)])
    world.advance(5 * MINUTE)
    assert told(world, pipeline) == ["R ACTIVATING"]


def test_a_resources_own_schedule_has_its_own_periods(kept: ServiceInProcess) -> None:
    provider = FakeProvider()
    world = kept.reset(provider=provider)
    pipeline = world.run(
        [
            scheduled(),
            schedule(occurrences="2"),
            schedule("Long", period="1 day", occurrences="1"),
            ec2("R", schedule=ref("Long")),
            shell("A", runsOn=ref("R")),
        ]
    )
    for _ in range(2):
        world.conclude(world.take(f"resource:{pipeline}_{R}"))
        world.advance(HOUR)
    assert len([key for key in world.instances(pipeline) if key.startswith("@R_")]) == 1
    assert provider.launched == ["i-1"]


def test_a_resource_nobody_needed_raises_no_alarm(kept: ServiceInProcess) -> None:
    world = kept.reset(provider=FakeProvider())
    pipeline = world.run([ON_DEMAND, alarm("Told"), ec2("R", **GOOD), shell("A")])
    world.work_off()
    assert (world.statuses(pipeline)[R], told(world, pipeline)) == ("FINISHED", [])


# -- activities -----------------------------------------------------------------------------


def test_an_activity_raises_its_alarms_and_is_late(world: ServiceInProcess) -> None:
    pipeline = world.run(
        [
            *ONCE,
            alarm("Told"),
            shell("A", **GOOD),
            shell("B", **BAD, maximumRetries="0"),
            shell("C", **LATE, dependsOn=refs("B")),
        ]
    )
    for task in (world.take(), world.take()):
        world.conclude(task, "FINISHED" if task.component_id == "A" else "FAILED")
    world.advance(5 * MINUTE)
    assert sorted(told(world, pipeline)) == ["A FINISHED", "B FAILED", "C WAITING_ON_DEPENDENCIES"]


def test_an_activity_is_tried_so_often_and_after_so_long(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A", maximumRetries="1", retryDelay="30 minutes")])
    world.conclude(world.take(), "FAILED")
    world.advance(29 * MINUTE)
    assert world.claim() is None
    world.advance(MINUTE)
    world.conclude(world.take(), "FAILED")
    assert world.statuses(pipeline)[A] == "FAILED"


# -- schedules and actions ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ({"period": "2 hours", "occurrences": "2"}, ["T02:00:00", "T04:00:00"]),
        ({"period": "1 hour", "endDateTime": "2026-02-13T04:00:00"}, ["T02:00:00", "T03:00:00"]),
        (
            {"period": "1 hour", "occurrences": "1", "startDateTime": "2026-02-13T01:00:00"},
            ["T01:00:00"],
        ),
        (
            # From when it is activated: the fake clock's beginning.
            {
                "period": "1 hour",
                "occurrences": "1",
                "startDateTime": None,
                "startAt": "FIRST_ACTIVATION_DATE_TIME",
            },
            ["T02:00:00"],
        ),
    ],
)
def test_a_schedule_has_the_periods_that_it_says(
    world: ServiceInProcess, fields: dict[str, str | None], starts: list[str]
) -> None:
    own = {key: value for key, value in {**schedule(), **fields}.items() if value is not None}
    pipeline = world.run([scheduled(), own, shell("A")])
    world.advance(5 * HOUR)
    assert sorted(world.instances(pipeline)) == [f"@A_2026-02-13{start}" for start in starts]


def test_an_alarm_has_topic_subject_and_message(world: ServiceInProcess) -> None:
    fields = {"topicArn": "arn:aws:sns:eu-west-1:1:t", "subject": "done", "message": "all of it"}
    pipeline = world.run([ON_DEMAND, alarm("Told", **fields), shell("A", **GOOD)])
    world.conclude(world.take())
    (found,) = world.alarms(pipeline)
    assert (found.topic, found.subject, found.message) == tuple(fields.values())
