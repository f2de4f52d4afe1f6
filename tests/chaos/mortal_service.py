"""A service on a clock that stands still, in a process that dies by kill -9 at a point of its own.

What it is told to do is done in one thread, so that the k-th statement, commit or delivery is the
same in each run.
"""

from __future__ import annotations

import os
import signal
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.errors import InvalidRequest, PipelineDeleted, TaskNotFound
from taskrunner.model import planner
from taskrunner.model.states import AlarmStatus, PipelineState
from taskrunner.service.actions import publisher
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.engine import Service
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.store import alarms as alarm_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import sqlite_backend
from taskrunner.service.store.rows import AlarmRow
from taskrunner.testing import FakeClock
from taskrunner.testing.service import as_definition
from tests.chaos.lives import Dead, MortalProcess
from tests.contract.stores import OPENING

#: Where a service may die, and at how many of these at the most.
POINTS: Mapping[str, int] = {
    "a statement": 60,
    "before a commit": 12,
    "after a commit": 12,
    "before a delivery": 2,
    "after a delivery": 2,
}
PATIENCE_S = 120.0
_MOST_ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class Point:
    """The k-th of its kind; 0: none."""

    where: str = ""
    at: int = 0


class Life(MortalProcess):
    """A service from its start until it is killed."""

    def __init__(
        self, database_url: str, now: datetime, folder: Path, point: Point, without: str = ""
    ) -> None:
        """`folder` holds what was delivered; `without` names a defence to take away."""
        super().__init__(
            _live,
            *(database_url, now, folder, point, without),
            preload=__name__,
            patience_s=PATIENCE_S,
        )

    def ask(self, order: str, *given: Any) -> Any:
        """Have an order carried out; raises Dead, or AssertionError for any other end."""
        try:
            return super().ask(order, *given)
        except Dead:
            self._process.join()
            if self._process.exitcode != -signal.SIGKILL:
                code = self._process.exitcode
                raise AssertionError(f"{order}: the service ended with {code}") from None
            raise


class _Trap:
    """Kills its process."""

    def __init__(self, point: Point) -> None:
        self._point, self._seen = point, 0

    def strike(self, where: str) -> None:
        if where == self._point.where:
            self._seen += 1
            if self._seen == self._point.at:
                os.kill(os.getpid(), signal.SIGKILL)

    def set_in(self, service: Service) -> None:
        """Have it sprung by the service's transactions that may write."""
        store = service.store
        with store.read() as conn:
            engine = conn.engine
        backend: Any = store._backend
        change = backend.change

        def executing(conn: Connection, *_: Any) -> None:
            if conn.get_execution_options().get("taskrunner_write"):
                self.strike("a statement")

        @contextmanager
        def changing(connection: Connection) -> Iterator[None]:
            with change(connection):
                yield
                self.strike("before a commit")
            self.strike("after a commit")

        sa.event.listen(engine, "before_cursor_execute", executing)
        backend.change = changing


class _Topic:
    """Takes alarms, some at the second or third try; what it took is on the disk at once."""

    def __init__(self, folder: Path, trap: _Trap) -> None:
        self._tries, self._delivered = folder / "tries", folder / "delivered"
        self._trap = trap

    def publish(self, alarm: AlarmRow) -> AlarmStatus:
        key = f"{alarm.pipeline_id} {alarm.alarm_id}"
        self._trap.strike("before a delivery")
        _append(self._tries, key)
        if self._tries.read_text().splitlines().count(key) <= zlib.crc32(key.encode()) % 3:
            raise ConnectionError("no way to the topic")
        _append(self._delivered, key)
        self._trap.strike("after a delivery")
        return AlarmStatus.SENT


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


# -- defences that are off ------------------------------------------------------------------------


def _nothing_free() -> None:
    """Whatever ends an attempt costs a retry."""
    vars(planner).update(_free_of_charge=lambda _view, _head: False)


def _sent_first() -> None:
    """An alarm counts as sent before it is."""
    original = publisher.AlarmLoop._publish

    def publish(self: publisher.AlarmLoop, alarm: AlarmRow, now: datetime) -> dict[str, Any]:
        with self.store.write() as conn:
            sent: dict[str, Any] = {"status": AlarmStatus.SENT, "next_at": None}
            alarm_store.update_alarm(conn, alarm, **sent)
        return original(self, alarm, now)

    publisher.AlarmLoop._publish = publish  # type: ignore[method-assign]


def _statements_alone() -> None:
    """There are no transactions: each statement is committed for itself."""
    vars(sqlite_backend).update(begin_as_said=lambda _connection: None)


_WITHOUT: Mapping[str, Callable[[], None]] = {
    "": lambda: None,
    "nothing-free": _nothing_free,
    "sent-first": _sent_first,
    "statements-alone": _statements_alone,
}


# -- orders ---------------------------------------------------------------------------------------


def _live(
    orders: Pipe, database_url: str, now: datetime, folder: Path, point: Point, without: str
) -> None:
    _WITHOUT[without]()
    clock, trap = FakeClock(now), _Trap(point)
    settings = ServiceSettings(database_url=database_url, opening=OPENING)
    service = Service(settings, clock=clock, publisher=_Topic(folder, trap))
    trap.set_in(service)
    while True:
        try:
            order, *given = orders.recv()
        except EOFError:
            return
        orders.send(_ORDERS[order](service, clock, *given))


def _settle(service: Service, clock: FakeClock, now: datetime) -> None:
    """Let it be this moment, and let happen what is due."""
    clock.advance(now - clock.now())
    for _ in range(_MOST_ROUNDS):
        service.catch_up()
        if not any([service.scheduler.tick(now), service.alarms.run_once(now)]):
            return
    raise AssertionError("the service goes in circles")


def _begin(service: Service, clock: FakeClock, name: str, objects: Sequence[Any]) -> str:
    """Activate a pipeline of this name, as far as that was not done."""
    pipeline_id = service.create_pipeline(ANONYMOUS, name, name)
    row = service.pipeline(pipeline_id)
    if not row.latest_version:
        service.put_definition(pipeline_id, as_definition(list(objects)))
    if row.state is PipelineState.PENDING:
        service.activate(pipeline_id)
    _settle(service, clock, clock.now())
    return pipeline_id


def _claim(service: Service, _clock: FakeClock, group: str) -> tuple[str, str] | None:
    task = service.claim(group, "runner.example")
    return None if task is None else (task.task_id, task.component_id)


def _report(service: Service, _clock: FakeClock, task_id: str) -> bool:
    """Whether the work is to go on."""
    return not service.report_progress(task_id, {})


def _conclude(
    service: Service, clock: FakeClock, task_id: str, status: str, error_id: str | None
) -> bool:
    """Whether the verdict was taken."""
    try:
        service.set_task_status(task_id, status, error_id)
    except (TaskNotFound, InvalidRequest):
        return False
    _settle(service, clock, clock.now())
    return True


def _ends(
    service: Service, _clock: FakeClock, pipeline_id: str
) -> Mapping[str, tuple[str, int, int]]:
    with service.store.read() as conn:
        rows = instance_store.load_instances(conn, pipeline_id)
    return {row.component_id: (str(row.status), row.attempt_count, row.failures) for row in rows}


def _alarms(
    service: Service, _clock: FakeClock, pipeline_id: str
) -> list[tuple[str, str, str, str, str]]:
    """Instance, event, action, id and status of each."""
    with service.store.read() as conn:
        rows = alarm_store.load_alarms(conn, pipeline_id)
    return [
        (r.instance_id, r.event, r.action_id, f"{pipeline_id} {r.alarm_id}", str(r.status))
        for r in rows
    ]


def _delete(service: Service, _clock: FakeClock, pipeline_id: str) -> None:
    with suppress(PipelineDeleted):
        service.delete_pipeline(pipeline_id)


_ORDERS: Mapping[str, Callable[..., Any]] = {
    "settle": _settle,
    "begin": _begin,
    "claim": _claim,
    "report": _report,
    "conclude": _conclude,
    "ends": _ends,
    "alarms": _alarms,
    "delete": _delete,
}
