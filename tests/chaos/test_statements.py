"""B4: any statement of the store may fail, and any commit, before or after it is done.

A pipeline lives its life in this process: put, activated, planned, handed out, failed once, handed
out again, finished, by clients that make a call again when it was answered with an error. In each
life one fault strikes, at the k-th statement, the k-th commit or behind it; k goes through all of
them. Whatever it was, the work comes to the same end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from taskrunner.errors import StoreError, TaskNotFound
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.store.tables import attempts, handouts
from taskrunner.testing import ServiceInProcess
from taskrunner.testing.service import as_definition
from tests.chaos.scale import Chaos
from tests.unit.service.worlds import schedule, scheduled, shell

T = TypeVar("T")

WHERE = ("statement", "before commit", "after commit")
#: A life that takes more rounds than this hangs.
MOST_ROUNDS = 60
OBJECTS = [
    scheduled(maximumRetries="1", retryDelay="1 minute"),
    schedule(period="1 day", occurrences="1"),
    shell("A"),
    shell("B", after="A"),
]
#: Component -> status, attempts, failures.
WANTED = {"A": ("FINISHED", 2, 1), "B": ("FINISHED", 1, 0)}


@dataclass
class Faults:
    """Strikes once, at the k-th chance of a kind; in place of a store's backend."""

    backend: Any
    where: str
    at: int
    #: False: what a failed transaction has written stays, as if each statement stood alone.
    undoes: bool = True
    seen: int = 0
    fired: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def strike(self, where: str) -> None:
        """Fail, if it is time."""
        if where != self.where:
            return
        self.seen += 1
        if self.seen == self.at:
            self.fired += 1
            raise OperationalError("a statement", {}, Exception("disk I/O error"))

    def executing(self, conn: Connection, *_: Any) -> None:
        """Before each statement of a transaction that may write."""
        if conn.get_execution_options().get("taskrunner_write"):
            self.strike("statement")

    @contextmanager
    def change(self, connection: Connection) -> Iterator[None]:
        """A transaction that may write."""
        failed: Exception | None = None
        with self.backend.change(connection):
            try:
                yield
                self.strike("before commit")
            except Exception as error:
                if self.undoes:
                    raise
                failed = error
        if failed is not None:
            raise failed
        self.strike("after commit")


@contextmanager
def broken(
    world: ServiceInProcess, where: str, at: int, *, undoes: bool = True
) -> Iterator[Faults]:
    """A world whose store fails once."""
    store = world.service.store
    backend, engine = store._backend, store._engine
    faults = Faults(backend, where, at, undoes)
    store._backend = faults
    sa.event.listen(engine, "before_cursor_execute", faults.executing)
    try:
        yield faults
    finally:
        sa.event.remove(engine, "before_cursor_execute", faults.executing)
        store._backend = backend


class Life:
    """One life of the pipeline, by clients that do not give up."""

    def __init__(self, world: ServiceInProcess) -> None:
        self.world = world
        self.pipeline = ""
        #: What was accepted, in order: component, verdict.
        self.told: list[tuple[str, str]] = []
        self.ended: dict[str, str] = {}
        self.broken: list[str] = []

    def again(self, call: Callable[[], T]) -> T:
        """Make a call, and once more when it is answered with an error of the store."""
        try:
            return call()
        except StoreError:
            return call()

    def live(self) -> list[str]:
        """All of it; what was not as it must be."""
        service = self.world.service
        self.pipeline = self.again(lambda: service.create_pipeline(ANONYMOUS, "p", "1"))
        self.again(lambda: service.put_definition(self.pipeline, as_definition(OBJECTS)))
        self.again(lambda: service.activate(self.pipeline))
        for _ in range(MOST_ROUNDS):
            self.settle()
            self.look()
            if set(self.ended) == set(WANTED):
                break
            self.work()
        self.judge()
        return self.broken

    def settle(self) -> None:
        """What the duties do: one that fails is begun again."""
        self.again(self.world.settle)

    def work(self) -> None:
        """A runner's turn; one whose reply was lost asks again, and time passes."""
        service = self.world.service
        try:
            task = service.claim("wg", "host")
        except StoreError:
            task = None
        if task is None:
            self.world.clock.advance(60)
            return
        if self.again(lambda: service.report_progress(task.task_id, {})):
            return
        first = task.component_id == "A" and ("A", "FAILED") not in self.told
        verdict = "FAILED" if first else "FINISHED"
        try:
            self.again(lambda: service.set_task_status(task.task_id, verdict))
        except TaskNotFound:
            self.broken.append(f"the verdict of {task.attempt_id}, which ran, was refused")
            return
        self.told.append((task.component_id, verdict))

    def look(self) -> None:
        """No end is taken back, no attempt is held twice."""
        for row in self.world.instances(self.pipeline).values():
            status = str(row.status)
            if self.ended.get(row.component_id, status) != status:
                self.broken.append(f"{row.component_id} was {self.ended[row.component_id]}")
            if status in {"FINISHED", "FAILED", "CANCELED", "CASCADE_FAILED"}:
                self.ended[row.component_id] = status
        with self.world.service.store.read() as conn:
            open_ = conn.execute(_OPEN).scalars().all()
            held = conn.execute(_HELD).scalars().all()
        if len(open_) != len(set(open_)) or len(held) != len(set(held)):
            self.broken.append(f"open attempts of {open_}, hand-outs of {held}")

    def judge(self) -> None:
        rows = self.world.instances(self.pipeline).values()
        found = {r.component_id: (str(r.status), r.attempt_count, r.failures) for r in rows}
        if found != WANTED:
            self.broken.append(f"at the end {found}")
        if sorted(self.told) != [("A", "FAILED"), ("A", "FINISHED"), ("B", "FINISHED")]:
            self.broken.append(f"told {self.told}")


_OPEN = sa.select(attempts.c.instance_id).where(
    attempts.c.status.in_(["WAITING_FOR_RUNNER", "RUNNING"])
)
_HELD = sa.select(handouts.c.attempt_id).where(handouts.c.state.in_(["ASSIGNED", "RUNNING"]))


def one_life(world: ServiceInProcess, where: str, at: int, *, undoes: bool = True) -> Faults:
    """Live with one fault. Raises AssertionError when something was not as it must be."""
    world.reset()
    with broken(world, where, at, undoes=undoes) as faults:
        found = Life(world).live()
    assert not found, f"{where} {at}: {found}"
    return faults


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.external_service)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceInProcess]:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_database")
    with ServiceInProcess(database_url=url) as found:
        yield found


@pytest.mark.xdist_group("chaos-statements")
def test_any_statement_may_fail(chaos: Chaos, world: ServiceInProcess) -> None:
    struck = 0
    for where in WHERE:
        chances = one_life(world, where, 0).seen
        assert chances > 10
        every = range(1, chances + 1)
        chosen = every if chaos.full else sorted(chaos.random.sample(every, 4))
        for at in chosen:
            assert one_life(world, where, at).fired == 1
            struck += 1
    store = "SQLite" if world.service.store.is_sqlite else "PostgreSQL"
    chaos.found("B4", f"{store}: {struck} faults, each of which struck; the same end every time")


@pytest.mark.xdist_group("chaos-statements")
def test_the_test_sees_transactions_that_are_not_undone(chaos: Chaos, tmp_path: Path) -> None:
    with ServiceInProcess(database_url=f"sqlite:///{tmp_path / 'service.db'}") as world:
        found = 0
        for at in range(1, one_life(world, "statement", 0).seen + 1):
            try:
                one_life(world, "statement", at, undoes=False)
            except Exception:  # it may break in any way, and must
                found += 1
                if not chaos.full:
                    break
    assert found
    chaos.found("B4", f"without undoing: {found} violations")
