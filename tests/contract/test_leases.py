"""A lease that is lost though its runner lives: on a slow machine, or cut off, it reports too late.

The work may then be done twice. What must not be is that the late runner goes on without being
told, or that anything it says counts: whichever process of the service it asks, and however its
report falls together with the decision that takes its task away.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from taskrunner.errors import ErrorId, TaskNotFound
from taskrunner.model.task import Task
from taskrunner.service.advance import advance_instances
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.engine import Service
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.store import due as due_store
from taskrunner.testing import ServiceInProcess
from tests.contract.stores import OPENING
from tests.unit.service.worlds import ON_DEMAND, T, shell

A = f"@A_{T}"
LEASE_S = 300


@dataclass(frozen=True)
class Pair:
    """Two processes' worth of service on one store; on SQLite both are the one that owns it."""

    world: ServiceInProcess
    first: Service
    second: Service
    pipeline: str

    def took(self, service: Service) -> Task:
        """A task that a runner takes from one of them, and acknowledges."""
        task = service.claim("wg", "host")
        assert task is not None
        assert service.report_progress(task.task_id, {"rows": "1"}) is False
        return task

    def decide(self, service: Service) -> None:
        """Have one of them decide about all that it may."""
        while service.scheduler.tick(self.world.now):
            pass


@pytest.fixture
def pair(database_url: str) -> Iterator[Pair]:
    with ExitStack() as stack:
        world = stack.enter_context(ServiceInProcess(database_url=database_url))
        second = world.service
        if not world.service.store.is_sqlite:
            settings = ServiceSettings(database_url=database_url, opening=OPENING)
            second = Service(settings, clock=world.clock)
            stack.callback(second.stop)
        pipeline = world.run([ON_DEMAND, shell("A", maximumRetries="0")])
        yield Pair(world, world.service, second, pipeline)


def refused(pair: Pair, task: Task) -> None:
    """Neither process takes anything of a runner's, and each tells it to stop."""
    for service in (pair.first, pair.second):
        assert service.report_progress(task.task_id, {"rows": "999"}) is True
        for status in ("FINISHED", "FAILED"):
            with pytest.raises(TaskNotFound, match="given to another runner"):
                service.set_task_status(task.task_id, status)


def test_who_lost_its_lease_is_told_so_and_nothing_that_it_says_counts(pair: Pair) -> None:
    late = pair.took(pair.first)
    pair.world.clock.advance(LEASE_S)
    pair.decide(pair.second)
    refused(pair, late)  # nobody else has it yet
    heir = pair.took(pair.second)
    refused(pair, late)  # both are at work
    pair.first.set_task_status(heir.task_id, "FINISHED")
    refused(pair, late)  # the task has ended
    lost, counted = pair.world.attempts(pair.pipeline)
    assert (lost.status, lost.error_id, lost.progress) == ("FAILED", ErrorId.STALLED, {"rows": "1"})
    assert (counted.status, counted.error_id) == ("FINISHED", None)
    row = pair.world.instances(pair.pipeline)[A]
    assert (row.status, row.attempt_count, row.failures) == ("FINISHED", 2, 0)


def test_a_report_that_came_while_the_others_were_deciding_keeps_the_lease(pair: Pair) -> None:
    """It is being written when the lease ends; who decides meanwhile waits for it, or leaves it."""
    if pair.second is pair.first:
        pytest.skip("SQLite has one writer at a time anyway")
    task = pair.took(pair.first)
    pair.world.clock.advance(LEASE_S)
    with pair.first.runner_transaction(ANONYMOUS) as tasks:
        assert tasks.progress(task.task_id, {}) is False
        pair.decide(pair.second)
    pair.decide(pair.second)
    (attempt,) = pair.world.attempts(pair.pipeline)
    assert attempt.status == "RUNNING"
    pair.second.set_task_status(task.task_id, "FINISHED")
    assert pair.world.statuses(pair.pipeline) == {A: "FINISHED"}


@pytest.mark.parametrize("says", ["progress", "FINISHED"])
def test_what_waits_for_who_takes_the_task_away_comes_too_late(pair: Pair, says: str) -> None:
    """A process holds the instance and is about to end the attempt; the runner asks the other."""
    if pair.second is pair.first:
        pytest.skip("SQLite has one writer at a time anyway")
    task = pair.took(pair.first)
    pair.world.clock.advance(LEASE_S)

    def say() -> str:
        if says == "progress":
            return f"stop: {pair.first.report_progress(task.task_id, {})}"
        with pytest.raises(TaskNotFound):
            pair.first.set_task_status(task.task_id, says)
        return "refused"

    with ThreadPoolExecutor(1) as pool:
        with pair.second.deciding() as transaction:
            (due,) = due_store.claim_due(transaction.conn, transaction.now, 10)
            said = pool.submit(say)
            advance_instances(transaction, [due], pair.second.loaded)
        assert said.result(timeout=60) in {"stop: True", "refused"}
    lost, heir = pair.world.attempts(pair.pipeline)
    assert (lost.error_id, heir.status) == (ErrorId.STALLED, "WAITING_FOR_RUNNER")
