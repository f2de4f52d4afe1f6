"""How SQLite carries out what is asked often: by indexes that find no more rows than are meant."""

from __future__ import annotations

import re
from datetime import timedelta

from taskrunner.service.callers import ANONYMOUS
from taskrunner.testing import ServiceInProcess
from tests.statements import asked, plans
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

#: Tables that grow with what has been run.
GROWING = "instances|dependencies|attempts|handouts|alarms|answered_calls|own"
#: All rows of such a table, or all that a pipeline has in it.
READS_ALL = re.compile(
    rf"SCAN ({GROWING})\b|SEARCH ({GROWING}) USING [\w ]*INDEX \w+ \(pipeline_id=\?\)"
)


def by_schedule(world: ServiceInProcess) -> str:
    begin = (world.now - timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%S")
    return world.put(
        [
            scheduled(failureAndRerunMode="cascade"),
            schedule(occurrences="6", startDateTime=begin),
            ec2("R"),
            check("P"),
            data("D", precondition=ref("P")),
            shell("A", input=ref("D")),
            shell("B", runsOn=ref("R"), after="A"),
            shell("C", after="B"),
        ]
    )


def live(world: ServiceInProcess) -> None:
    """What happens to pipelines every day."""
    service = world.service
    pipeline, on_demand = by_schedule(world), world.put([ON_DEMAND, shell("A"), shell("B")])
    for one in (pipeline, on_demand):
        service.activate(one)
        world.settle()
    failed = world.take()
    world.conclude(failed, "FAILED")
    world.work_off()
    service.set_status(pipeline, ["A"], "PAUSE")
    service.set_status(pipeline, ["A"], "RESUME")
    world.advance(timedelta(hours=1))
    service.activate(on_demand)
    service.heartbeat("runner", "wg", "host")
    service.deactivate(pipeline)
    world.settle()
    service.set_status(pipeline, [failed.attempt_id.rpartition("_Attempt")[0]], "RERUN")
    service.activate(pipeline)
    world.settle()
    world.work_off("resource:nobody")
    service.describe_pipelines([pipeline], ANONYMOUS)
    for component in ("A", "P", "R"):
        world.describe(pipeline, component)
    for key in (failed.attempt_id, failed.attempt_id.rpartition("_Attempt")[0]):
        world.describe(pipeline, key)


def test_nothing_that_happens_often_reads_a_pipeline_as_a_whole(kept: ServiceInProcess) -> None:
    world = kept.reset(provider=FakeProvider())
    with asked(world.service.store) as found:
        live(world)
    with world.service.store.read() as conn:
        engine = conn.engine
    known = plans(engine, found)
    assert len(known) > 60
    assert [s for s, plan in known.items() if READS_ALL.search(plan) and not is_end(s)] == []


def is_end(statement: str) -> bool:
    """Whether it asks for one end of an index only; the plan does not say so."""
    return statement.startswith(("SELECT max(", "SELECT min("))


def test_without_the_statistics_it_would(kept: ServiceInProcess) -> None:
    world = kept.reset(provider=FakeProvider())
    with asked(world.service.store) as found:
        live(world)
    with world.service.store.write() as conn:
        held = conn.exec_driver_sql("SELECT tbl, idx, stat FROM sqlite_stat1").fetchall()
        conn.exec_driver_sql("DELETE FROM sqlite_stat1")
        conn.exec_driver_sql("ANALYZE sqlite_schema")
        engine = conn.engine
    try:
        worse = [plan for plan in plans(engine, found).values() if READS_ALL.search(plan)]
    finally:
        with world.service.store.write() as conn:
            conn.exec_driver_sql("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", [*map(tuple, held)])
            conn.exec_driver_sql("ANALYZE sqlite_schema")
    assert worse
    assert held


def test_the_statistics_outlive_a_restart(kept: ServiceInProcess) -> None:
    world = kept.reset()
    query = "SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY tbl, idx"
    with world.service.store.read() as conn:
        before = conn.exec_driver_sql(query).fetchall()
    with ServiceInProcess() as fresh:
        fresh.reopen()
        with fresh.service.store.read() as conn:
            assert conn.exec_driver_sql(query).fetchall() == before
    assert ("instances", "sqlite_autoindex_instances_1", "1000000 10000 1") in before
