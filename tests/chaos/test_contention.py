"""B5: a task is claimed once, however many ask; and six activations at a moment run each once.

In this process, on SQLite by one service, on PostgreSQL by two of them.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from taskrunner.errors import ServiceFault
from taskrunner.model.task import Task
from taskrunner.service.callers import ANONYMOUS
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


class _ChosenBefore:
    """Claims that choose in one transaction and hand out in the next: each runner's first choice is
    made before anybody hands out, so that all choose the same."""

    def __init__(self) -> None:
        self._choosing = threading.Lock()
        self._have_met = threading.Event()
        self._meeting = threading.Barrier(RUNNERS, self._have_met.set, timeout=60)
        self.handed_out: Counter[str] = Counter()

    def claim(self, service: Service, worker_group: str) -> Task | None:
        # One by one: what another is just choosing PostgreSQL passes over.
        with self._choosing, service.store.read() as conn:
            found = attempt_store.claim_ready(
                conn, worker_group, service.clock.now(), account=ANONYMOUS.account
            )
        if found is None:
            return None
        if not self._have_met.is_set():
            self._meeting.wait()
        with service.runner_transaction(ANONYMOUS) as tasks:
            given = tasks._hand_out(*found, None)
        self.handed_out[found[0].attempt_id] += 1
        return given


def test_two_runners_get_a_task_that_is_chosen_before_its_transaction(
    chaos: Chaos, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = _ChosenBefore()

    def claim(self: Service, worker_group: str) -> Task | None:
        return chosen.claim(self, worker_group)

    monkeypatch.setattr(Service, "claim", claim)
    with pytest.raises((AssertionError, ServiceFault)) as error:
        assert max(race(database_url, 2 * RUNNERS).values()) == 1
    twice = sum(times > 1 for times in chosen.handed_out.values())
    assert twice
    chaos.found(
        "B5", f"{name(database_url)}, chosen before: {twice} tasks twice, seen as {error.typename}"
    )


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
    # Each has put its own before anybody activates.
    meeting = threading.Barrier(CLIENTS, timeout=60)

    def in_two(self: Service, pipeline_id: str, prepare: object, start: object = None) -> None:
        del start
        self.change_definition(pipeline_id, prepare)  # type: ignore[arg-type]
        meeting.wait()
        activate(self, pipeline_id)

    monkeypatch.setattr(Service, "activate", in_two)
    clock, rounds = FakeClock(), chaos.trials(1, 20)
    with ExitStack() as stack:
        services = two_services(stack, database_url, clock)
        for number in range(rounds):
            wanted, ran = six_activations(services, clock, number)
            (only,) = ran
            # Whichever was put last ran for all of them.
            assert ran == {only: CLIENTS}
            assert only in wanted
    chaos.found("activations", f"{name(database_url)}, in two transactions: {rounds} of them wrong")
