"""Work on large pipelines: in transactions that do not grow with them, on every kind of store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa

from taskrunner.errors import PipelineDeleted, TaskNotFound
from taskrunner.model.states import INSTANCE_TERMINAL, InstanceStatus
from taskrunner.service.apply import SchedulingTransaction
from taskrunner.service.cleaner import ROUND_S
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.stopping import PORTION, Stopping
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store import removal
from taskrunner.service.store.tables import METADATA
from taskrunner.testing import ServiceInProcess
from tests.statements import asked
from tests.unit.service.worlds import (
    FakeProvider,
    Object,
    check,
    data,
    ec2,
    ref,
    schedule,
    scheduled,
    shell,
)

#: Periods of the small pipeline; the large one has so many times as many.
SMALL, TIMES = 30, 3
#: Statements in a transaction, each row that one writes counted.
MOST = 2500
QUARTER = timedelta(minutes=15)


@pytest.fixture
def world(database_url: str) -> Iterator[ServiceInProcess]:
    settings = ServiceSettings(database_url=database_url)
    with ServiceInProcess(
        database_url=database_url, settings=settings, provider=FakeProvider()
    ) as world:
        yield world


def past(world: ServiceInProcess, periods: int) -> list[Object]:
    """As many periods as are given, all of them begun, of all kinds of objects."""
    begin = (world.now - periods * QUARTER).strftime("%Y-%m-%dT%H:%M:%S")
    return [
        scheduled(),
        schedule(period="15 minutes", occurrences=str(periods), startDateTime=begin),
        ec2("R"),
        check("P"),
        data("D", precondition=ref("P")),
        shell("A", input=ref("D")),
        shell("B", runsOn=ref("R"), after="A"),
        shell("C", runsOn=ref("R")),
    ]


def canceled(world: ServiceInProcess, pipeline: str) -> None:
    world.service.deactivate(pipeline)
    world.settle()


def let_finish(world: ServiceInProcess, pipeline: str) -> None:
    world.service.deactivate(pipeline, cancel_active=False)
    world.settle()


def deleted(world: ServiceInProcess, pipeline: str) -> None:
    world.service.delete_pipeline(pipeline)


@pytest.mark.parametrize("act", [canceled, let_finish, deleted])
def test_no_transaction_grows_with_the_pipeline(
    world: ServiceInProcess, act: Callable[[ServiceInProcess, str], None]
) -> None:
    found = []
    for periods in (SMALL, TIMES * SMALL):
        pipeline = world.put(past(world, periods))
        with asked(world.service.store) as making:
            world.service.activate(pipeline)
            world.settle()
        world.take()  # a runner is at work
        with asked(world.service.store) as ending:
            act(world, pipeline)
        found.append((making, ending))
    for small, large in zip(*found, strict=True):
        assert large.most <= MOST
        assert large.most <= max(1.2 * small.most, removal.MOST_AT_ONCE + 10)
        assert large.total <= 1.2 * TIMES * small.total


class Killed(Exception):
    """The service dies."""


def killed_after(world: ServiceInProcess, portions: int) -> Stopping:
    """A service that dies once it has committed so many transactions."""
    begun = 0

    @contextmanager
    def transaction() -> Iterator[SchedulingTransaction]:
        nonlocal begun
        if begun == portions:
            raise Killed
        begun += 1
        with world.service.transaction() as found:
            yield found

    return Stopping(world.service.store, transaction, world.service.loaded)


@pytest.mark.parametrize("cancel_active", [True, False])
def test_a_deactivation_that_was_broken_off_comes_to_its_end(
    world: ServiceInProcess, cancel_active: bool
) -> None:
    pipeline = world.run(past(world, PORTION // 2))
    task = world.take()
    with pytest.raises(Killed):
        killed_after(world, 3).deactivate(pipeline, cancel_active=cancel_active)
    assert world.state(pipeline) == "DEACTIVATING"
    left = [s for s in world.statuses(pipeline).values() if s not in INSTANCE_TERMINAL]
    assert left
    # What is still in the queues is handed out to nobody.
    assert world.claim() is None
    world.reopen()
    world.service.cleaner.step(world.now)
    # Not all of it in one step: whoever watches the service's duties sees them move.
    assert world.state(pipeline) == "DEACTIVATING"
    clean_up(world)
    left = [s for s in world.statuses(pipeline).values() if s not in INSTANCE_TERMINAL]
    assert len(left) <= (0 if cancel_active else 1)
    if left:  # what the runner has goes on to its end
        world.conclude(task)
    assert world.state(pipeline) == "INACTIVE"


@pytest.mark.parametrize("noted", [True, False, None])
def test_what_a_broken_off_deactivation_was_to_cancel_is_canceled_later(
    world: ServiceInProcess, noted: bool | None
) -> None:
    pipeline = world.run([scheduled(), schedule(occurrences="1"), shell("A")])
    task = world.take()
    with pytest.raises(Killed):
        killed_after(world, 1).deactivate(pipeline, cancel_active=noted is not False)
    if noted is None:  # by an earlier version of the program
        with world.service.store.write() as conn:
            pipeline_store.update_pipeline(conn, pipeline, cancels_active=None)
    world.reopen()
    clean_up(world)
    assert world.state(pipeline) == ("INACTIVE" if noted else "DEACTIVATING")
    assert world.service.report_progress(task.task_id, {}) is bool(noted)
    if not noted:
        world.conclude(task)
    assert world.state(pipeline) == "INACTIVE"


def clean_up(world: ServiceInProcess) -> None:
    """A whole round of what a service does for those before it."""
    while world.service.cleaner.step(world.now) != ROUND_S:
        pass
    world.settle()


def test_a_deactivation_ends_nothing_that_was_activated_meanwhile(
    world: ServiceInProcess,
) -> None:
    pipeline = world.run(past(world, PORTION // 2))
    stopping = killed_after(world, 100)
    portions = 0

    @contextmanager
    def transaction() -> Iterator[SchedulingTransaction]:
        nonlocal portions
        portions += 1
        if portions == 3:
            world.service.activate(pipeline)
        with world.service.transaction() as found:
            yield found

    Stopping(stopping.store, transaction, stopping.load).deactivate(pipeline, cancel_active=True)
    assert world.state(pipeline) == "SCHEDULED"
    assert InstanceStatus.CANCELED not in world.statuses(pipeline).values()


def counts(world: ServiceInProcess, pipeline: str) -> dict[str, int]:
    with world.service.store.read() as conn:
        return {
            table.name: conn.execute(
                sa.select(sa.func.count()).select_from(table).where(table.c.pipeline_id == pipeline)
            ).scalar_one()
            for table in METADATA.sorted_tables
            if "pipeline_id" in table.c
        }


def test_of_a_deleted_pipeline_nothing_is_seen_while_its_rows_go(world: ServiceInProcess) -> None:
    kept = world.run(past(world, 2))
    world.service.deactivate(kept)
    world.settle()
    before = counts(world, kept)
    pipeline = world.run(past(world, 20))
    task = world.take()
    with world.service.store.write() as conn:
        removal.mark_deleted(conn, world.service.pipeline(pipeline), world.now)
        assert removal.remove_some(conn, pipeline, most=5)
    with pytest.raises(PipelineDeleted):
        world.service.pipeline(pipeline)
    with pytest.raises(TaskNotFound):
        world.service.report_progress(task.task_id, {})
    assert world.claim() is None
    world.advance(timedelta(hours=1))  # nothing of it is due, and nothing is launched for it
    assert counts(world, pipeline)["instances"]
    world.reopen()
    clean_up(world)
    left = {name: n for name, n in counts(world, pipeline).items() if n}
    assert left == {"pipelines": 1}
    assert counts(world, kept) == before
