"""Which runs go when they are over, where they are written down, and which never go."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from taskrunner.errors import StoreError
from taskrunner.service.cleaner import ROUND_S
from taskrunner.service.settings import Retention, ServiceSettings
from taskrunner.service.store.tables import METADATA, attempts, handouts, instances, pauses
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import ON_DEMAND, T, schedule, scheduled, shell

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
Make = Callable[..., ServiceInProcess]


@pytest.fixture
def make(database_url: str) -> Iterator[Make]:
    with ExitStack() as stack:

        def make(**retention: Any) -> ServiceInProcess:
            kept = Retention(**retention)
            settings = ServiceSettings(database_url=database_url, retention=kept)
            world = ServiceInProcess(database_url=database_url, settings=settings)
            return stack.enter_context(world)

        yield make


def clean(world: ServiceInProcess) -> None:
    while world.service.cleaner.step(world.now) != ROUND_S:
        pass


def hourly(world: ServiceInProcess, periods: int, **more: str) -> str:
    """A pipeline that has worked off all of its periods in their time, each B after its A."""
    times = schedule(occurrences=str(periods + 2))
    objects = [scheduled(**more), times, shell("A"), shell("B", after="A")]
    pipeline = world.run(objects)
    for _ in range(periods):
        world.work_off()
        world.advance(HOUR)
    return pipeline


def held(world: ServiceInProcess, table: sa.Table) -> int:
    with world.service.store.read() as conn:
        return conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def orphans(world: ServiceInProcess) -> dict[str, int]:
    """Rows of what belongs to an instance that is not there."""
    with world.service.store.read() as conn:
        ids = set(conn.execute(sa.select(instances.c.instance_id)).scalars())
        found = {}
        for name, column in (
            ("attempts", "instance_id"),
            ("dependencies", "instance_id"),
            ("dependencies", "depends_on"),
        ):
            values = conn.execute(sa.select(METADATA.tables[name].c[column])).scalars()
            found[f"{name}.{column}"] = len(set(values) - ids)
        tried = set(conn.execute(sa.select(attempts.c.attempt_id)).scalars())
        given = set(conn.execute(sa.select(handouts.c.attempt_id)).scalars())
        found["handouts"] = len(given - tried)
    return found


def archived(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(folder.rglob("*.jsonl.gz"))
        for line in gzip.open(path, "rt")
    ]


def test_runs_stay_where_nobody_says_otherwise(make: Make) -> None:
    world = make()
    pipeline = hourly(world, 3)
    before = world.instances(pipeline)
    world.advance(400 * DAY)
    clean(world)
    assert before.keys() <= world.instances(pipeline).keys()
    assert held(world, handouts) == 0  # those go after 30 days, all at once


@pytest.mark.parametrize("by", [{"run_days": 0.1}, {"runs": 2}])
def test_old_runs_go_to_the_archive_with_all_that_is_theirs(
    make: Make, tmp_path: Path, by: dict[str, float]
) -> None:
    world = make(**by, archive=tmp_path / "archive")
    pipeline = hourly(world, 6)
    before = world.instances(pipeline)
    clean(world)
    left = world.instances(pipeline)
    assert left.items() <= before.items()
    ended = [row.scheduled_start for row in left.values() if row.status == "FINISHED"]
    assert len(set(ended)) == 2
    assert min(ended) > max(before[key].scheduled_start for key in before.keys() - left.keys())
    assert set(orphans(world).values()) == {0}
    lines = archived(tmp_path)
    assert {line["instance"]["instance_id"] for line in lines} == before.keys() - left.keys()
    assert {line["attempts"][0]["status"] for line in lines} == {"FINISHED"}
    # It goes on as if nothing were missing.
    world.work_off()
    world.advance(HOUR)
    assert len(world.work_off()) == 2
    clean(world)
    told = [line["instance"]["instance_id"] for line in archived(tmp_path)]
    assert len(told) == len(set(told)) > len(lines)


def test_what_somebody_still_needs_stays(make: Make) -> None:
    world = make(runs=1)
    pipeline = world.run([scheduled(), schedule(), shell("A"), shell("B", after="A")])
    for _ in range(4):
        task = world.take()  # A; B stays in the queue
        assert task.main.id.startswith("@A")
        world.conclude(task)
        world.service.set_status(pipeline, [task.main.id.replace("@A", "@B")[:22]], "PAUSE")
        world.advance(HOUR)
    clean(world)
    statuses = world.components(pipeline)
    assert statuses["A"][:4] == ["FINISHED"] * 4
    assert held(world, pauses) == 4
    world.service.set_status(pipeline, [f"@B_{T}"], "RESUME")
    world.settle()
    assert "FINISHED" in statuses["A"]


@pytest.mark.parametrize("again", [True, False])
def test_what_a_deactivation_has_ended_stays_for_the_next_activation(
    make: Make, *, again: bool
) -> None:
    world = make(run_days=1)
    pipeline = world.run([scheduled(), schedule(occurrences="2"), shell("A")])
    world.service.deactivate(pipeline)
    world.settle()
    world.advance(10 * DAY)
    clean(world)
    assert world.components(pipeline) == {"A": ["CANCELED"]}
    if again:
        world.service.activate(pipeline)
        world.settle()
        assert len(world.work_off()) == 2


def test_nothing_goes_that_cannot_be_archived(make: Make, tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file is in the way")
    world = make(runs=1, archive=tmp_path / "archive")
    pipeline = hourly(world, 3)
    before = world.instances(pipeline)
    with pytest.raises(StoreError, match=r"--archive: .* nothing is removed"):
        clean(world)
    assert world.instances(pipeline) == before


def test_runs_on_demand_go_once_they_are_out_of_the_line(make: Make) -> None:
    world = make(runs=1)
    pipeline = world.run([ON_DEMAND, shell("A"), shell("B")])
    for _ in range(3):
        world.work_off()
        world.advance(HOUR)
        world.service.activate(pipeline)
        world.settle()
    clean(world)
    statuses = world.components(pipeline)
    assert [len(found) for found in statuses.values()] == [2, 2]
    assert len(world.work_off()) == 2
