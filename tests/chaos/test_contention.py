"""B5: a task is claimed once, however many ask; and six activations at a moment run each once.

In this process, on SQLite by one service, on PostgreSQL by two of them.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from taskrunner.errors import ServiceFault
from taskrunner.model.task import Task
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.service.engine import Service
from taskrunner.service.store import attempts as attempt_store
from taskrunner.testing import FakeClock
from taskrunner.testing.service import as_definition
from tests.chaos.scale import Chaos
from tests.contract.stores import STORES
from tests.contract.test_activations import (
    CLIENTS,
    DEFINITION,
    activate_at_once,
    commands_of_all,
)
from tests.contract.test_store_contention import RUNNERS, race, two_services

pytestmark = pytest.mark.xdist_group("chaos-contention")


@pytest.fixture(params=STORES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.db'}"
    url: str = request.getfixturevalue("postgresql_database")
    return url


def name(database_url: str) -> str:
    return database_url.partition(":")[0]


def test_no_task_is_claimed_twice(chaos: Chaos, database_url: str) -> None:
    tasks = chaos.trials(60, 2000)
    twice = [task for task, times in race(database_url, tasks).items() if times > 1]
    assert twice == []
    chaos.found("B5", f"{name(database_url)}: {RUNNERS} runners, {tasks} tasks, none given twice")


def _claim_of_what_was_seen(
    self: Service, worker_group: str, hostname: str | None = None, caller: Caller = ANONYMOUS
) -> Task | None:
    """Choose in one transaction and hand out in the next."""
    with self.store.read() as conn:
        found = attempt_store.claim_ready(
            conn, worker_group, self.clock.now(), account=caller.account
        )
    if found is None:
        return None
    with self.runner_transaction(caller) as tasks:
        return tasks._hand_out(found, hostname)


def test_two_runners_get_a_task_that_is_chosen_before_its_transaction(
    chaos: Chaos, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Service, "claim", _claim_of_what_was_seen)
    seen = None
    try:
        given = race(database_url, 100)
        seen = f"{sum(times > 1 for times in given.values())} tasks twice"
        assert max(given.values()) == 1
    except (AssertionError, ServiceFault) as error:
        chaos.found("B5", f"{name(database_url)}, chosen before: {seen or type(error).__name__}")
        return
    raise AssertionError("no task was given twice although nothing kept it from being so")


def test_of_activations_at_one_moment_none_is_lost_or_doubled(
    chaos: Chaos, database_url: str
) -> None:
    rounds, clock = chaos.trials(2, 200), FakeClock()
    with ExitStack() as stack:
        services = two_services(stack, database_url, clock)
        for number in range(rounds):
            wanted, ran = six_activations(services, clock, number)
            assert ran == wanted
    chaos.found(
        "activations",
        f"{name(database_url)}: {rounds} times {CLIENTS} at a moment, each value ran once",
    )


def six_activations(
    services: list[Service], clock: FakeClock, number: int
) -> tuple[Counter[str], Counter[str]]:
    """What was to run, and what ran."""
    pipeline = services[0].create_pipeline(ANONYMOUS, "p", str(number))
    services[0].put_definition(pipeline, as_definition(DEFINITION))
    values = [f"{number}-{client}" for client in range(CLIENTS)]
    activate_at_once(services, pipeline, values)
    ran = Counter(commands_of_all(services[-1], clock))
    return Counter(f"echo {value}" for value in values), ran


def test_values_that_are_put_before_the_activation_are_lost(
    chaos: Chaos, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate = Service.activate

    def in_two(self: Service, pipeline_id: str, prepare: object, start: object = None) -> None:
        del start
        if prepare is not None:
            self.change_definition(pipeline_id, prepare)  # type: ignore[arg-type]
        activate(self, pipeline_id)

    monkeypatch.setattr(Service, "activate", in_two)
    clock, wrong = FakeClock(), 0
    with ExitStack() as stack:
        services = two_services(stack, database_url, clock)
        for number in range(20):
            wanted, ran = six_activations(services, clock, number)
            wrong += ran != wanted
            if wrong and not chaos.full:
                break
    assert wrong
    chaos.found("activations", f"{name(database_url)}, in two transactions: {wrong} of 20 wrong")
