from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from taskrunner.errors import ErrorId, InvalidRequest, UsageError
from taskrunner.model.parameters import with_values
from taskrunner.model.selection import Selection
from taskrunner.model.task import Task
from taskrunner.service.activation import AT_ONCE
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.schedule_expander import INSTANCES_AT_ONCE, MOST_SKIPPED
from taskrunner.service.settings import ServiceSettings
from taskrunner.testing import ServiceInProcess
from taskrunner.testing.service import as_definition
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

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
START = datetime(2026, 2, 13, 2, tzinfo=UTC)


def starts(world: ServiceInProcess, pipeline_id: str, component: str = "A") -> list[str]:
    rows = world.instances(pipeline_id).values()
    return [f"{r.scheduled_start:%dT%H:%M}" for r in rows if r.component_id == component]


def commands_of_all(world: ServiceInProcess) -> list[Any]:
    """Work off what there is; the commands in the order in which they were handed out."""
    found = []
    while (task := world.claim()) is not None:
        found.append(task.main.get("command"))
        world.conclude(task)
    return found


# -- on demand ------------------------------------------------------------------------------


def test_on_demand_each_activation_is_a_run(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    world.work_off()
    assert world.state(pipeline) == "FINISHED"
    world.clock.advance(90)
    world.service.activate(pipeline)
    world.settle()
    assert world.state(pipeline) == "SCHEDULED"
    assert len(world.work_off()) == 1
    assert starts(world, pipeline) == ["13T02:00", "13T02:01"]
    assert world.state(pipeline) == "FINISHED"


def test_what_a_run_begins_with_is_ready_with_its_activation(world: ServiceInProcess) -> None:
    pipeline = world.put([ON_DEMAND, shell("A"), shell("B", after="A")])
    told: list[None] = []
    world.service.work_ready.subscribe("wg", lambda: told.append(None))
    world.service.activate(pipeline)
    assert len(told) == 1
    task = world.service.claim("wg")
    assert task is not None
    assert task.component_id == "A"
    # Another run waits for its turn, as it does when the scheduler decides.
    world.service.activate(pipeline)
    assert len(told) == 1
    assert world.service.claim("wg") is None


def test_of_a_large_run_the_scheduler_decides_about_the_rest(world: ServiceInProcess) -> None:
    many = [shell(f"A{number}") for number in range(AT_ONCE + 1)]
    pipeline = world.put([ON_DEMAND, *many])
    world.service.activate(pipeline)
    assert Counter(world.statuses(pipeline).values()) == {
        "WAITING_FOR_RUNNER": AT_ONCE,
        "WAITING_ON_DEPENDENCIES": 1,
    }
    world.settle()
    assert set(world.statuses(pipeline).values()) == {"WAITING_FOR_RUNNER"}


def test_two_activations_within_one_second_are_two_runs(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    world.service.activate(pipeline)
    world.clock.advance(0.4)
    world.service.activate(pipeline)
    world.settle()
    assert len(world.work_off()) == 3
    assert len(world.instances(pipeline)) == 3


def test_an_activation_may_bring_parameter_values(world: ServiceInProcess) -> None:
    pipeline = world.put(
        {
            "objects": [ON_DEMAND, shell("A", command="echo #{myWord}")],
            "parameters": [{"id": "myWord", "type": "String", "default": "one"}],
        }
    )
    world.service.activate(pipeline)
    world.settle()
    world.service.activate(pipeline, lambda stored: with_values(stored, {"myWord": ["two"]}))
    world.settle()
    assert commands_of_all(world) == ["echo one", "echo two"]


def test_without_a_definition_there_is_nothing_to_activate(world: ServiceInProcess) -> None:
    pipeline = world.put([])
    with pytest.raises(InvalidRequest, match="no definition"):
        world.service.activate(world.service.create_pipeline(ANONYMOUS, "empty", "1"))
    world.service.activate(pipeline)
    assert world.state(pipeline) == "FINISHED"


@pytest.mark.parametrize("cancel_active", [False, True])
def test_a_canceled_run_on_demand_stays_canceled_when_the_next_is_asked_for(
    world: ServiceInProcess, *, cancel_active: bool
) -> None:
    pipeline = world.run([ON_DEMAND, shell("A"), shell("B", after="A")])
    task = world.take()
    world.service.deactivate(pipeline, cancel_active=cancel_active)
    if not cancel_active:
        world.conclude(task)
    assert world.state(pipeline) == "INACTIVE"
    world.advance(90)
    world.service.activate(pipeline)
    world.settle()
    assert world.components(pipeline)["B"] == ["CANCELED", "WAITING_ON_DEPENDENCIES"]
    assert world.work_off() == [f"@{c}_2026-02-13T02:01:30_Attempt=1" for c in "AB"]
    assert world.state(pipeline) == "FINISHED"


def test_runs_on_demand_are_not_taken_up_by_a_schedule_either(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    world.service.deactivate(pipeline)
    changed = [scheduled(), schedule(startDateTime="2026-02-14T00:00:00"), shell("A")]
    world.service.put_definition(pipeline, as_definition(changed))
    world.service.activate(pipeline)
    world.settle()
    assert world.components(pipeline) == {"A": ["CANCELED"]}


# -- schedules ------------------------------------------------------------------------------


def run_scheduled(
    world: ServiceInProcess, style: str = "cron", *more: dict[str, Any], **fields: Any
) -> str:
    return world.run([scheduled(style), schedule(**fields), shell("A"), *more])


def test_cron_instances_are_made_and_run_at_the_start_of_their_period(
    world: ServiceInProcess,
) -> None:
    pipeline = run_scheduled(world)
    assert world.components(pipeline) == {"A": ["WAITING_FOR_RUNNER"]}
    world.advance(HOUR - timedelta(seconds=1))
    assert starts(world, pipeline) == ["13T02:00"]
    world.advance(1)
    assert world.components(pipeline) == {"A": ["WAITING_FOR_RUNNER"] * 2}
    row = world.instances(pipeline)["@A_2026-02-13T03:00:00"]
    assert (row.scheduled_start, row.scheduled_end) == (START + HOUR, START + 2 * HOUR)


def test_timeseries_instances_are_made_at_the_start_and_run_at_the_end(
    world: ServiceInProcess,
) -> None:
    pipeline = run_scheduled(world, "timeseries")
    assert world.components(pipeline) == {"A": ["WAITING_ON_DEPENDENCIES"]}
    world.advance(HOUR - timedelta(seconds=1))
    assert world.claim() is None
    world.advance(1)
    assert world.components(pipeline) == {"A": ["WAITING_FOR_RUNNER", "WAITING_ON_DEPENDENCIES"]}


def test_nothing_is_made_before_the_start(world: ServiceInProcess) -> None:
    pipeline = run_scheduled(world, startDateTime="2026-02-13T05:00:00")
    assert world.instances(pipeline) == {}
    assert world.state(pipeline) == "SCHEDULED"
    world.advance(3 * HOUR)
    assert starts(world, pipeline) == ["13T05:00"]


def test_first_activation_is_the_start_and_stays_it(world: ServiceInProcess) -> None:
    start: dict[str, Any] = {"startDateTime": [], "startAt": "FIRST_ACTIVATION_DATE_TIME"}
    world.clock.advance(60.5)
    pipeline = run_scheduled(world, **start)
    assert starts(world, pipeline) == ["13T02:01"]
    world.advance(30 * MINUTE)
    world.service.deactivate(pipeline, cancel_active=False)
    world.work_off()
    world.service.activate(pipeline)
    world.advance(30 * MINUTE)
    assert starts(world, pipeline) == ["13T02:01", "13T03:01"]


def test_a_schedule_comes_to_its_end_and_the_pipeline_with_it(world: ServiceInProcess) -> None:
    pipeline = run_scheduled(world, occurrences="2")
    world.work_off()
    assert world.state(pipeline) == "SCHEDULED"
    world.advance(HOUR)
    world.work_off()
    assert world.state(pipeline) == "FINISHED"
    world.advance(HOUR)
    assert len(world.instances(pipeline)) == 2


def test_a_finished_schedule_goes_on_when_it_is_made_longer(world: ServiceInProcess) -> None:
    pipeline = run_scheduled(world, occurrences="2")
    world.advance(HOUR)
    world.work_off()
    world.advance(HOUR)
    with pytest.raises(InvalidRequest, match="no period left: put a definition with a later end"):
        world.service.activate(pipeline)
    assert world.state(pipeline) == "FINISHED"
    longer = [scheduled(), schedule(occurrences="4"), shell("A", command="new")]
    world.service.put_definition(pipeline, as_definition(longer))
    world.service.activate(pipeline)
    world.settle()
    assert world.state(pipeline) == "SCHEDULED"
    assert starts(world, pipeline) == ["13T02:00", "13T03:00", "13T04:00"]
    assert world.take().main.get("command") == "new"


def test_a_backfill_is_made_in_portions_without_a_gap(world: ServiceInProcess) -> None:
    names = "ABCDEFGH"
    pipeline = world.put(
        [
            scheduled(),
            schedule(period="15 minutes", startDateTime="2026-02-12T00:00:00"),
            *(shell(name) for name in names),
        ]
    )
    world.service.activate(pipeline)
    world.service.scheduler.tick(world.now)
    assert len(world.instances(pipeline)) == INSTANCES_AT_ONCE
    world.settle()
    first = datetime(2026, 2, 12, tzinfo=UTC)
    expected = [first + n * 15 * MINUTE for n in range(26 * 4 + 1) for _ in names]
    assert [row.scheduled_start for row in world.instances(pipeline).values()] == expected


def test_periods_that_passed_while_the_service_was_away_are_made_up_for(
    world: ServiceInProcess,
) -> None:
    pipeline = run_scheduled(world)
    world.clock.advance(3 * HOUR)
    world.reopen()
    world.settle()
    assert len(world.instances(pipeline)) == 4


@pytest.mark.parametrize(("start", "first"), [("13T04:00", 4), ("13T04:30", 5)])
def test_an_activation_may_say_from_where(world: ServiceInProcess, start: str, first: int) -> None:
    pipeline = world.put([scheduled(), schedule(), shell("A")])
    moment = datetime.strptime(f"2026-02-{start}", "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
    world.service.activate(pipeline, start=moment)
    world.advance(4 * HOUR)
    assert starts(world, pipeline) == [f"13T{hour:02}:00" for hour in range(first, 7)]


def test_a_start_after_the_end_runs_nothing(world: ServiceInProcess) -> None:
    pipeline = world.put([scheduled(), schedule(occurrences="2"), shell("A")])
    world.service.activate(pipeline, start=START + 9 * HOUR)
    world.advance(10 * HOUR)
    assert world.instances(pipeline) == {}
    assert world.state(pipeline) == "FINISHED"


def test_a_schedule_that_cannot_be_is_refused(world: ServiceInProcess) -> None:
    pipeline = world.put([scheduled(), schedule(period="often"), shell("A")])
    with pytest.raises(InvalidRequest, match="often"):
        world.service.activate(pipeline)
    assert world.state(pipeline) == "PENDING"


def test_a_changed_definition_counts_for_the_periods_to_come(world: ServiceInProcess) -> None:
    pipeline = run_scheduled(world)
    changed = [scheduled(), schedule(), shell("A", command="new")]
    world.service.put_definition(pipeline, as_definition(changed))
    task = world.take()
    assert task.main.get("command") == "true"
    world.conclude(task)
    world.service.activate(pipeline)
    world.advance(HOUR)
    assert world.take().main.get("command") == "new"
    versions = [row.version for row in world.instances(pipeline).values()]
    assert versions == [1, 2]


# -- selections, as local runs make them ----------------------------------------------------


def selecting(selection: Selection) -> ServiceInProcess:
    return ServiceInProcess(settings=ServiceSettings(database_url="", selection=selection))


def test_a_selection_runs_at_once_and_nothing_else() -> None:
    wish = Selection(since=START + 100 * HOUR, until=START + 102 * HOUR)
    with selecting(wish) as world:
        pipeline = run_scheduled(world, "timeseries")
        assert starts(world, pipeline) == ["17T06:00", "17T07:00", "17T08:00"]
        assert len(world.work_off()) == 3
        assert world.state(pipeline) == "FINISHED"


def test_a_selection_of_nothing_activates_nothing() -> None:
    with selecting(Selection(at=START - 9 * HOUR)) as world:
        pipeline = world.put([scheduled(), schedule(), shell("A")])
        with pytest.raises(UsageError):
            world.service.activate(pipeline)
        assert world.state(pipeline) == "PENDING"


# -- deactivation ---------------------------------------------------------------------------


def test_deactivating_cancels_what_runs_and_makes_nothing_more(world: ServiceInProcess) -> None:
    pipeline = run_scheduled(world, "cron", shell("B", after="A"))
    task = world.take()
    world.service.deactivate(pipeline)
    assert world.state(pipeline) == "INACTIVE"
    assert world.service.report_progress(task.task_id, {}) is True
    world.advance(5 * HOUR)
    assert world.components(pipeline) == {"A": ["CANCELED"], "B": ["CANCELED"]}
    assert world.claim() is None


def test_deactivating_may_let_finish_what_runs(world: ServiceInProcess) -> None:
    pipeline = run_scheduled(world, "cron", shell("B", after="A"))
    task = world.take()
    world.service.deactivate(pipeline, cancel_active=False)
    assert world.state(pipeline) == "DEACTIVATING"
    assert world.service.report_progress(task.task_id, {}) is False
    world.conclude(task)
    assert world.components(pipeline) == {"A": ["FINISHED"], "B": ["CANCELED"]}
    assert world.state(pipeline) == "INACTIVE"


@pytest.fixture
def ending(world: ServiceInProcess) -> tuple[ServiceInProcess, str, Task]:
    """A pipeline that is being deactivated while a runner still has one task of it."""
    default = scheduled(maximumRetries="2", retryDelay="1 minute")
    objects = [shell("A"), shell("Queued"), data("N", precondition=ref("P")), check("P")]
    pipeline = world.run([default, schedule(), *objects])
    task = next(task for _ in range(3) if (task := world.take()).component_id == "A")
    for other in list(world.attempts(pipeline)):
        if other.task_id and not other.instance_id.startswith("@A_"):
            world.service.set_task_status(other.task_id, "FAILED", "X")
    world.settle()
    world.service.deactivate(pipeline, cancel_active=False)
    return world, pipeline, task


def test_while_it_is_deactivated_nothing_new_is_handed_out(
    ending: tuple[ServiceInProcess, str, Task],
) -> None:
    world, pipeline, task = ending
    assert world.claim() is None
    world.advance(2 * MINUTE)
    assert world.claim() is None
    assert world.components(pipeline) == {
        "A": ["RUNNING"],
        "Queued": ["CANCELED"],
        "N": ["CANCELED"],
        "P": ["CANCELED"],
    }
    assert world.state(pipeline) == "DEACTIVATING"
    world.conclude(task)
    assert world.components(pipeline)["A"] == ["FINISHED"]
    assert world.state(pipeline) == "INACTIVE"


def test_a_failure_while_it_is_deactivated_is_not_tried_again_until_it_is_activated(
    ending: tuple[ServiceInProcess, str, Task],
) -> None:
    world, pipeline, task = ending
    world.conclude(task, "FAILED", "X")
    (row,) = [r for r in world.instances(pipeline).values() if r.component_id == "A"]
    assert (row.status, row.error_id) == ("CANCELED", ErrorId.DEACTIVATED)
    assert world.state(pipeline) == "INACTIVE"
    world.service.activate(pipeline)
    world.settle()
    assert world.components(pipeline)["A"] == ["WAITING_FOR_RUNNER"]


def test_a_deactivation_ends_also_when_the_runner_never_comes_back(
    ending: tuple[ServiceInProcess, str, Task],
) -> None:
    world, pipeline, _task = ending
    world.advance(HOUR)
    assert world.state(pipeline) == "INACTIVE"
    assert world.components(pipeline)["A"] == ["CANCELED"]


def test_a_deactivation_takes_back_what_nobody_acknowledged(world: ServiceInProcess) -> None:
    pipeline = run_scheduled(world)
    world.take(acknowledge=False)
    world.service.deactivate(pipeline, cancel_active=False)
    assert world.state(pipeline) == "DEACTIVATING"  # the runner may have begun
    world.advance(2 * MINUTE)
    assert world.components(pipeline) == {"A": ["CANCELED"]}
    assert world.state(pipeline) == "INACTIVE"


def test_nothing_is_rerun_while_it_is_deactivated(
    ending: tuple[ServiceInProcess, str, Task],
) -> None:
    world, pipeline, task = ending
    with pytest.raises(InvalidRequest, match="is being deactivated, and begins nothing"):
        world.service.set_status(pipeline, [f"@Queued_{T}"], "RERUN")
    world.conclude(task)
    world.service.set_status(pipeline, [f"@Queued_{T}"], "RERUN")
    world.settle()
    assert world.components(pipeline)["Queued"] == ["WAITING_FOR_RUNNER"]


def test_a_resource_that_waits_for_more_work_ends_with_the_deactivation(
    kept: ServiceInProcess,
) -> None:
    """It has a schedule of its own, by which there would be more until tonight."""
    provider = FakeProvider()
    world = kept.reset(provider=provider)
    day = schedule("Day", period="1 day", startDateTime="2026-02-13T00:00:00")
    resource = ec2("R", schedule=ref("Day"))
    pipeline = run_scheduled(world, "cron", day, resource, shell("B", runsOn=ref("R")))
    world.work_off()
    world.work_off(f"resource:{pipeline}_@R_2026-02-13T00:00:00")
    assert world.components(pipeline)["R"] == ["RUNNING"]
    world.service.deactivate(pipeline, cancel_active=False)
    world.settle()
    assert (world.components(pipeline)["R"], provider.ended) == (["FINISHED"], ["i-1"])
    assert world.state(pipeline) == "INACTIVE"


def test_resuming_takes_up_what_was_left_and_makes_up_for_the_pause(
    world: ServiceInProcess,
) -> None:
    pipeline = run_scheduled(world, "cron", shell("B", after="A"))
    world.conclude(world.take())
    world.service.deactivate(pipeline)
    world.advance(2 * HOUR)
    world.service.activate(pipeline)
    world.settle()
    assert world.state(pipeline) == "SCHEDULED"
    assert world.components(pipeline)["A"] == ["FINISHED"] + ["WAITING_FOR_RUNNER"] * 2
    assert len(world.work_off()) == 5
    assert set(world.statuses(pipeline).values()) == {"FINISHED"}


def test_resuming_from_a_moment_leaves_what_lies_before_it(world: ServiceInProcess) -> None:
    pipeline = run_scheduled(world)
    world.service.deactivate(pipeline)
    world.advance(4 * HOUR)
    world.service.activate(pipeline, start=START + 3 * HOUR)
    world.settle()
    assert starts(world, pipeline) == [f"13T{hour:02}:00" for hour in range(2, 7)]
    assert world.components(pipeline)["A"] == ["SKIPPED"] * 3 + ["WAITING_FOR_RUNNER"] * 2


def test_what_was_skipped_can_be_run_after_all(world: ServiceInProcess) -> None:
    pipeline = run_scheduled(world, "cron", shell("B", after="A"))
    world.service.deactivate(pipeline)
    world.advance(2 * HOUR)
    world.service.activate(pipeline, start=START + 2 * HOUR)
    world.settle()
    assert world.components(pipeline)["B"] == ["SKIPPED"] * 2 + ["WAITING_ON_DEPENDENCIES"]
    again = [f"@{c}_2026-02-13T03:00:00" for c in "AB"]
    world.service.set_status(pipeline, again, "RERUN")
    world.settle()
    assert len(world.work_off()) == 4
    assert world.components(pipeline)["B"] == ["SKIPPED", "FINISHED", "FINISHED"]


def test_of_a_long_pause_the_newest_skipped_periods_are_recorded(world: ServiceInProcess) -> None:
    pipeline = run_scheduled(world)
    world.service.deactivate(pipeline)
    world.advance((MOST_SKIPPED + 30) * HOUR)
    world.service.activate(pipeline, start=world.now)
    world.settle()
    found = world.components(pipeline)["A"]
    # The first period had been made before.
    assert found == ["SKIPPED"] * (MOST_SKIPPED + 1) + ["WAITING_FOR_RUNNER"]


def test_a_first_activation_skips_nothing(world: ServiceInProcess) -> None:
    pipeline = world.put([scheduled(), schedule(), shell("A")])
    world.service.activate(pipeline, start=START + 2 * HOUR)
    world.advance(3 * HOUR)
    assert world.components(pipeline) == {"A": ["WAITING_FOR_RUNNER"] * 2}


def test_a_changed_schedule_goes_on_where_the_old_one_had_come_to(
    world: ServiceInProcess,
) -> None:
    pipeline = run_scheduled(world)
    world.advance(3 * HOUR)
    world.work_off()
    world.service.deactivate(pipeline)
    half_hourly = [scheduled(), schedule(period="30 minutes"), shell("A")]
    world.service.put_definition(pipeline, as_definition(half_hourly))
    world.advance(HOUR)
    world.service.activate(pipeline)
    world.settle()
    expected = ["13T02:00", "13T03:00", "13T04:00", "13T05:00", "13T06:00"]
    assert starts(world, pipeline) == expected
    world.advance(30 * MINUTE)
    assert starts(world, pipeline) == [*expected, "13T06:30"]


# -- changes of an active pipeline ------------------------------------------------------------


def test_an_active_pipeline_refuses_what_would_not_fit_and_takes_it_once_it_is_inactive(
    world: ServiceInProcess,
) -> None:
    pipeline = run_scheduled(world, "cron", shell("B"))
    changed = as_definition([scheduled(), schedule(), shell("A")])
    world.service.put_definition(pipeline, changed)
    message = "is active, and its new definition cannot replace .* 'B': it was removed .*deactivate"
    with pytest.raises(InvalidRequest, match=message):
        world.service.activate(pipeline)
    assert world.service.pipeline(pipeline).active_version == 1
    world.service.deactivate(pipeline)
    world.service.activate(pipeline)
    assert world.service.pipeline(pipeline).active_version == 2


def test_what_a_user_canceled_is_not_taken_up(world: ServiceInProcess) -> None:
    pipeline = run_scheduled(world)
    world.service.set_status(pipeline, [f"@A_{T}"], "CANCEL")
    world.service.deactivate(pipeline)
    world.service.activate(pipeline)
    world.settle()
    assert world.components(pipeline)["A"] == ["CANCELED"]


@pytest.mark.parametrize("slow", [False, True])
def test_resuming_at_once_brings_the_resource_back(slow: bool) -> None:
    provider = FakeProvider()
    provider.slow = slow
    with ServiceInProcess(provider=provider) as world:
        pipeline = run_scheduled(world, "cron", ec2("R"), shell("B", runsOn=ref("R")))
        world.clock.advance(60)
        world.service.deactivate(pipeline)
        if not slow:
            world.settle()
        world.service.activate(pipeline)
        world.settle()
        provider.slow = False
        world.settle()
        assert provider.launched == ["i-1", "i-2"]
        assert world.components(pipeline)["R"] == ["ACTIVATING"]
        assert len(world.work_off(f"resource:{pipeline}_@R_{T}")) == 1
        assert world.components(pipeline)["R"] == ["FINISHED"]


@pytest.mark.parametrize("activate", [False, True])
def test_only_an_active_pipeline_can_be_deactivated(
    world: ServiceInProcess, *, activate: bool
) -> None:
    pipeline = world.put([ON_DEMAND, shell("A")])
    if activate:
        world.service.activate(pipeline)
        world.settle()
        world.work_off()
    with pytest.raises(InvalidRequest, match="not active"):
        world.service.deactivate(pipeline)


def test_a_pipeline_without_anything_running_is_inactive_at_once(
    world: ServiceInProcess,
) -> None:
    pipeline = run_scheduled(world)
    world.work_off()
    world.service.deactivate(pipeline)
    assert world.state(pipeline) == "INACTIVE"
    world.advance(3 * HOUR)
    assert len(world.instances(pipeline)) == 1
