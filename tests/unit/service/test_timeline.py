"""The host's clock is set while tasks run: leases go on, schedules follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from sqlalchemy.engine import Connection

from taskrunner.errors import ErrorId, StoreError
from taskrunner.model.states import AttemptStatus
from taskrunner.service.timeline import Timeline
from taskrunner.testing import FakeClock, ServiceInProcess
from tests.unit.service.worlds import ON_DEMAND, T, shell

A = f"@A_{T}"
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
STEPS = [-24 * HOUR, -2 * HOUR, -6 * MINUTE, 6 * MINUTE, HOUR, 24 * HOUR]
any_step = pytest.mark.parametrize("step", STEPS, ids=str)


def set_clock(world: ServiceInProcess, step: timedelta) -> None:
    world.clock.jump(world.now + step)


def stalled(world: ServiceInProcess, pipeline: str) -> list[str | None]:
    return [a.error_id for a in world.attempts(pipeline) if a.status is AttemptStatus.FAILED]


@any_step
def test_a_runner_that_reports_keeps_its_task(world: ServiceInProcess, step: timedelta) -> None:
    world.run([ON_DEMAND, shell("A")])
    task = world.take()
    for _ in range(3):
        world.advance(MINUTE)
        set_clock(world, step)
        world.settle()
        assert world.service.report_progress(task.task_id, {}) is False


@any_step
def test_a_silent_runner_loses_its_task_when_its_lease_is_over(
    world: ServiceInProcess, step: timedelta
) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    world.take()
    world.advance(MINUTE)
    set_clock(world, step)
    world.settle()
    world.advance(4 * MINUTE - SECOND)
    assert stalled(world, pipeline) == []
    world.advance(SECOND)
    assert stalled(world, pipeline) == [ErrorId.STALLED]
    assert world.take().attempt_id == f"{A}_Attempt=2"


@any_step
def test_an_acknowledgement_has_its_whole_window(world: ServiceInProcess, step: timedelta) -> None:
    world.run([ON_DEMAND, shell("A")])
    first = world.take(acknowledge=False)
    set_clock(world, step)
    world.advance(2 * MINUTE - SECOND)
    assert world.claim() is None
    world.advance(SECOND)
    assert world.take().task_id != first.task_id


@any_step
def test_a_report_between_the_step_and_the_next_tick_lasts_a_lease(
    world: ServiceInProcess, step: timedelta
) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    task = world.take()
    world.clock.advance(MINUTE)
    set_clock(world, step)
    world.service.report_progress(task.task_id, {})
    world.settle()
    world.advance(5 * MINUTE - SECOND)
    assert stalled(world, pipeline) == []
    world.advance(SECOND)
    assert stalled(world, pipeline) == [ErrorId.STALLED]


@any_step
def test_attempt_timeout_is_as_long_as_it_says(world: ServiceInProcess, step: timedelta) -> None:
    pipeline = world.run([ON_DEMAND, shell("A", attemptTimeout="4 minutes", maximumRetries="0")])
    world.take()
    world.advance(MINUTE)
    set_clock(world, step)
    world.advance(3 * MINUTE - SECOND)
    assert world.statuses(pipeline)[A] == "RUNNING"
    world.advance(SECOND)
    assert world.statuses(pipeline)[A] == "FAILED"


@any_step
def test_a_retry_waits_as_long_as_it_should(world: ServiceInProcess, step: timedelta) -> None:
    world.run([ON_DEMAND, shell("A", retryDelay="10 minutes")])
    world.conclude(world.take(), "FAILED")
    set_clock(world, step)
    world.advance(10 * MINUTE - SECOND)
    assert world.claim() is None
    world.advance(SECOND)
    assert world.take().attempt_id == f"{A}_Attempt=2"


@any_step
def test_what_was_ready_or_due_before_is_so_still(world: ServiceInProcess, step: timedelta) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    set_clock(world, step)
    world.settle()
    task = world.take()
    world.service.set_task_status(task.task_id, "FINISHED")  # A is to be decided about at once
    set_clock(world, step)
    world.settle()
    assert world.statuses(pipeline)[A] == "FINISHED"


def test_schedules_go_by_the_clock_as_it_is_set(world: ServiceInProcess) -> None:
    hourly = {"id": "S", "type": "Schedule", "period": "1 hour", "startDateTime": T}
    cron = {**ON_DEMAND, "scheduleType": "timeseries", "schedule": {"ref": "S"}}
    pipeline = world.run([cron, hourly, shell("A")])
    before = len(world.instances(pipeline))
    set_clock(world, 2 * HOUR)
    world.settle()
    assert len(world.instances(pipeline)) == before + 2
    set_clock(world, -2 * HOUR)
    world.settle()
    world.advance(2 * HOUR)
    assert len(world.instances(pipeline)) == before + 2  # made once


class NoStore:
    """Refuses every transaction."""

    refuses = True

    @contextmanager
    def write(self) -> Iterator[Connection]:
        if self.refuses:
            raise StoreError("the disk is full")
        yield from ()


def test_the_old_time_goes_on_until_the_store_has_taken_the_step() -> None:
    clock = FakeClock()
    began = clock.now()
    timeline = Timeline(clock, NoStore())
    clock.jump(began + HOUR)
    with pytest.raises(StoreError, match="full"):
        timeline.catch_up()
    clock.advance(3)
    assert timeline.now() == began + 3 * SECOND


@pytest.mark.parametrize("seconds", [-1, 1])
def test_a_second_is_no_step_however_often_it_comes(seconds: int) -> None:
    clock = FakeClock()
    timeline = Timeline(clock, NoStore())
    for _ in range(10):
        clock.jump(clock.now() + seconds * SECOND)
        timeline.catch_up()
        assert timeline.now() == clock.now()


def test_a_host_that_stands_still_between_two_readings_has_set_no_clock() -> None:
    class Halting(FakeClock):
        halts = False

        def now(self) -> datetime:
            if self.halts:
                self.halts = False
                found = super().now()
                self.advance(HOUR)
                return found
            return super().now()

    clock = Halting()
    timeline = Timeline(clock, NoStore())
    clock.halts = True
    timeline.catch_up()
    assert timeline.now() == clock.now()
