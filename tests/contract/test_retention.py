"""What the store keeps, for how long, and what it never gives up, on every kind of store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from taskrunner.errors import InvalidRequest, PipelineDeleted, PipelineNotFound, TaskNotFound
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.cleaner import BATCH, PAUSE_S, ROUND_S
from taskrunner.service.settings import Retention, ServiceSettings
from taskrunner.service.store import pipelines
from taskrunner.service.store.tables import alarms, definitions, handouts, runners
from taskrunner.testing import ServiceInProcess
from taskrunner.testing.service import as_definition

DAY = timedelta(days=1)
SECRET = "pa55w0rd-of-old"
MOST = 3


@pytest.fixture
def world(database_url: str) -> Iterator[ServiceInProcess]:
    retention = Retention(days=30, versions=MOST, rows=BATCH + 100)
    settings = ServiceSettings(database_url=database_url, retention=retention)
    with ServiceInProcess(database_url=database_url, settings=settings) as world:
        yield world


def clean(world: ServiceInProcess) -> int:
    """A whole round; in how many steps."""
    steps = 1
    while (nap := world.service.cleaner.step(world.now)) != ROUND_S:
        assert nap == PAUSE_S
        steps += 1
    return steps


def count(world: ServiceInProcess, table: sa.Table) -> int:
    with world.service.store.read() as conn:
        return conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def objects(secret: str = SECRET, **more: str) -> list[dict[str, Any]]:
    return [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg", **more},
        {"id": "A", "type": "ShellCommandActivity", "command": "true", "*password": secret},
    ]


def put(world: ServiceInProcess, pipeline: str, **more: str) -> int:
    return world.service.put_definition(pipeline, as_definition(objects(**more)))


def versions(world: ServiceInProcess, pipeline: str) -> dict[int, str]:
    """What is stored, by version: whatever stands in the rows."""
    query = sa.select(definitions.c.version).where(definitions.c.pipeline_id == pipeline)
    query = query.order_by(definitions.c.version)
    with world.service.store.read() as conn:
        return {
            number: str(pipelines.load_definition(conn, pipeline, number))
            for number in conn.execute(query).scalars()
        }


# -- versions of definitions ------------------------------------------------------------------


def test_replaced_versions_go_by_age(world: ServiceInProcess) -> None:
    pipeline = world.put(objects())
    put(world, pipeline, secret="new")
    world.clock.advance(30 * DAY)
    clean(world)
    assert list(versions(world, pipeline)) == [1, 2]
    world.clock.advance(1)
    clean(world)
    assert list(versions(world, pipeline)) == [2]
    assert world.service.definition(pipeline).objects[1].string("*password") == "new"


def test_replaced_versions_go_by_number(world: ServiceInProcess) -> None:
    pipeline, other = world.put(objects()), world.put(objects())
    for _ in range(6):
        put(world, pipeline)
    clean(world)
    assert list(versions(world, pipeline)) == [4, 5, 6, 7]
    assert list(versions(world, other)) == [1]


def test_what_runs_or_waits_keeps_its_version_with_its_secrets(world: ServiceInProcess) -> None:
    """The running one, one in the line behind it, and the one that is active."""
    pipeline = world.run(objects())
    task = world.take()
    put(world, pipeline)
    world.service.activate(pipeline)
    for _ in range(6):
        put(world, pipeline, secret="new")
    world.clock.advance(60)
    clean(world)
    found = versions(world, pipeline)
    assert list(found) == [1, 2, 5, 6, 7, 8]
    assert SECRET in found[1]
    assert SECRET in found[2]
    world.conclude(task)
    assert "_Attempt=1" in world.take().attempt_id


def test_a_version_that_only_what_ended_is_shown_by_keeps_no_secret(
    world: ServiceInProcess,
) -> None:
    pipeline = world.run(objects())
    world.conclude(world.take())
    (instance,) = world.instances(pipeline)
    before = world.describe(pipeline, instance)
    put(world, pipeline, secret="new")
    world.service.activate(pipeline)
    world.settle()
    assert SECRET in versions(world, pipeline)[1]
    world.clock.advance(31 * DAY)
    clean(world)
    found = versions(world, pipeline)
    assert list(found) == [1, 2]
    assert SECRET not in str(found)
    assert world.describe(pipeline, instance) == before
    with pytest.raises(InvalidRequest, match=r"version 1 .* secrets are not kept any more"):
        world.service.set_status(pipeline, [instance], "RERUN")
    assert world.statuses(pipeline)[instance] == "FINISHED"
    # There is nothing more to be done about it.
    assert clean(world) == clean(world)


def test_without_secrets_it_can_be_run_again(world: ServiceInProcess) -> None:
    plain: list[dict[str, Any]] = [
        objects()[0],
        {"id": "A", "type": "ShellCommandActivity", "command": "true"},
    ]
    pipeline = world.run(plain)
    world.conclude(world.take())
    (instance,) = world.instances(pipeline)
    world.service.put_definition(pipeline, as_definition(plain))
    world.service.activate(pipeline)
    world.settle()
    world.clock.advance(31 * DAY)
    clean(world)
    world.service.set_status(pipeline, [instance], "RERUN")
    world.settle()
    assert world.statuses(pipeline)[instance] != "FINISHED"


def test_what_a_deactivation_has_ended_is_taken_up_with_its_secrets(
    world: ServiceInProcess,
) -> None:
    start = world.now.isoformat(timespec="seconds").removesuffix("+00:00")
    schedule = {"id": "S", "type": "Schedule", "period": "1 day", "startDateTime": start}
    timed: list[dict[str, Any]] = [
        {"id": "Default", "schedule": {"ref": "S"}, "scheduleType": "cron", "workerGroup": "wg"},
        {**schedule, "occurrences": "1"},
        objects()[1],
    ]
    pipeline = world.run(timed)
    world.service.deactivate(pipeline)
    world.settle()
    world.service.put_definition(pipeline, as_definition(timed))
    world.clock.advance(31 * DAY)
    clean(world)
    assert SECRET in versions(world, pipeline)[1]
    world.service.activate(pipeline)
    world.settle()
    assert world.take()


# -- rows -------------------------------------------------------------------------------------


def test_silent_runners_go_by_age_and_by_number(world: ServiceInProcess) -> None:
    def seen(name: str) -> None:
        world.service.heartbeat(name, "wg", "host")
        world.service.roster.save(world.now)
        world.clock.advance(0.001)

    seen("old")
    world.clock.advance(30 * DAY)
    seen("new")
    clean(world)
    assert count(world, runners) == 1
    rows = [
        {
            "account": "1",
            "runner_id": f"r{n}",
            "user_id": "u",
            "first_seen_at": world.now,
            "last_seen_at": world.now + timedelta(seconds=n),
        }
        for n in range(2 * BATCH + 200)
    ]
    with world.service.store.write() as conn:
        conn.execute(runners.insert(), rows)
    assert clean(world) > 2, "it was to be done a little at a time"
    with world.service.store.read() as conn:
        left = set(conn.execute(sa.select(runners.c.runner_id)).scalars())
    assert left == {f"r{n}" for n in range(2 * BATCH + 200) if n >= BATCH + 100}


def test_hand_outs_that_are_over_go_and_those_that_are_not_stay(world: ServiceInProcess) -> None:
    done = world.run(objects())
    world.conclude(first := world.take())
    pipeline = world.run(objects())
    held = world.take()
    # Its runner reports all the time.
    for _ in range(3):
        world.clock.advance(11 * DAY)
        assert world.service.report_progress(held.task_id, {}) is False
    clean(world)
    assert count(world, handouts) == 1
    with pytest.raises(TaskNotFound):
        world.service.set_task_status(first.task_id, "FINISHED")
    world.conclude(held)
    assert set(world.statuses(pipeline).values()) == {"FINISHED"}
    assert set(world.statuses(done).values()) == {"FINISHED"}


def test_alarms_that_were_told_go(world: ServiceInProcess) -> None:
    told = {"role": "r", "topicArn": "arn:aws:sns:us-east-1:1:t", "subject": "s", "message": "m"}
    failing = [
        {**objects(maximumRetries="0")[0], "onFail": {"ref": "Told"}},
        objects()[1],
        {"id": "Told", "type": "SnsAlarm", **told},
    ]
    world.run(failing)
    world.conclude(world.take(), "FAILED")
    assert count(world, alarms) == 1
    clean(world)
    assert count(world, alarms) == 1
    world.clock.advance(31 * DAY)
    with world.service.store.write() as conn:
        copy = sa.select(alarms).limit(1)
        row: dict[str, Any] = dict(conn.execute(copy).mappings().one())
        conn.execute(alarms.insert(), {**row, "alarm_id": "waiting", "status": "PENDING"})
    clean(world)
    with world.service.store.read() as conn:
        assert conn.execute(sa.select(alarms.c.alarm_id)).scalars().all() == ["waiting"]


def test_the_mark_of_a_deleted_pipeline_goes(world: ServiceInProcess) -> None:
    pipeline = world.put(objects())
    world.service.delete_pipeline(pipeline)
    clean(world)
    with pytest.raises(PipelineDeleted):
        world.service.pipeline(pipeline)
    world.clock.advance(31 * DAY)
    clean(world)
    with pytest.raises(PipelineNotFound):
        world.service.pipeline(pipeline)
    assert world.service.create_pipeline(ANONYMOUS, "test", "1") != pipeline
