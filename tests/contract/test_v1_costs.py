"""What the lists of /v1 cost a store: not more than what they show, however large pipelines are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.service.callers import Caller
from taskrunner.service.store import concerns, summaries
from taskrunner.service.v1.pipelines import show_pipeline
from taskrunner.service.v1.requests import ShowPipeline
from taskrunner.testing import ServiceInProcess
from tests.contract.v1 import V1
from tests.unit.service.worlds import ON_DEMAND, shell

CALLER = Caller(account="000000000000", user="maker")
NARROW, TIMES = 30, 4


@pytest.fixture(scope="module")
def world() -> Iterator[ServiceInProcess]:
    with ServiceInProcess() as world:
        yield world


@pytest.fixture(scope="module")
def narrow_and_wide(world: ServiceInProcess) -> list[str]:
    """Two pipelines, one with so many times as many components; one of each has failed."""

    def made(components: int) -> str:
        shells = [
            shell(f"A{n}", workerGroup=f"of {components}", maximumRetries="0")
            for n in range(components)
        ]
        key = V1(world).pipeline(f"of {components}", [ON_DEMAND, *shells])
        world.conclude(world.take(f"of {components}"), "FAILED", "CommandFailed", "exit code 1")
        return key

    return [made(NARROW), made(TIMES * NARROW)]


def steps(world: ServiceInProcess, ask: Callable[[Connection], object]) -> int:
    """How much SQLite has to do for something, in hundreds of its virtual machine's steps."""
    taken = [0]

    def took() -> int:
        taken[0] += 1
        return 0

    with world.service.store.read() as conn:
        raw = conn.connection.driver_connection
        assert raw is not None
        raw.set_progress_handler(took, 100)
        try:
            ask(conn)
        finally:
            raw.set_progress_handler(None, 100)
    return taken[0]


def test_the_last_runs_of_a_pipeline_cost_what_its_instances_are(
    world: ServiceInProcess, narrow_and_wide: list[str]
) -> None:
    """The start of the first of them is not looked for anew for each instance."""
    for ask in (summaries.last_runs, summaries.last_groups):
        small, large = (
            steps(world, lambda conn, key=key, ask=ask: ask(conn, [key], 14))  # type: ignore[misc]
            for key in narrow_and_wide
        )
        assert large < 2 * TIMES * small, ask


def test_the_health_of_a_pipeline_asks_of_what_has_failed_alone(
    world: ServiceInProcess, narrow_and_wide: list[str]
) -> None:
    asked: list[str] = []
    with world.service.store.read() as conn:
        engine = conn.engine

    def executed(_conn: object, _cursor: object, statement: str, *_more: object) -> None:
        asked.append(statement)

    counts = []
    sa.event.listen(engine, "before_cursor_execute", executed)
    try:
        for key in narrow_and_wide:
            asked.clear()
            shown = show_pipeline(world.service, CALLER, ShowPipeline(pipeline_id=key))
            assert shown.summary.health is not None
            counts.append(len(asked))
    finally:
        sa.event.remove(engine, "before_cursor_execute", executed)
    assert counts[0] == counts[1]


def test_what_is_late_is_not_looked_for_among_all_that_waits(
    world: ServiceInProcess, narrow_and_wide: list[str]
) -> None:
    small, large = (
        steps(world, partial(concerns.late, whose=summaries.of_account(CALLER.account, key)))
        for key in narrow_and_wide
    )
    assert large <= small + 1


def test_what_waits_is_counted_so_far_and_no_further(
    world: ServiceInProcess, narrow_and_wide: list[str]
) -> None:
    def cost(key: str, most: int) -> int:
        whose = summaries.of_account(CALLER.account, key)
        return steps(world, partial(concerns.counts, whose=whose, most=most))

    narrow, wide = narrow_and_wide
    assert cost(wide, NARROW // 2) <= cost(narrow, NARROW // 2) + 1
    assert cost(wide, TIMES * NARROW) > cost(narrow, TIMES * NARROW) + 1, "else nothing is shown"


def test_what_has_failed_is_not_looked_for_among_all_that_has_not(
    world: ServiceInProcess, narrow_and_wide: list[str]
) -> None:
    small, large = (
        steps(world, partial(concerns.broken, whose=summaries.of_account(CALLER.account, key)))
        for key in narrow_and_wide
    )
    assert large <= small + 1
