"""Defences of service, agent and data that the storm relies on, each to be taken away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taskrunner.clock import SystemClock

__all__ = ["STORM_MUTANTS"]


def _fence_off() -> None:
    """A3: the service takes what a superseded hand-out says."""
    _take_any_word({"SUPERSEDED"})


def _compare_and_set_off() -> None:
    """A4: the service writes without looking at what is there, so the last word wins."""
    _take_any_word({"SUPERSEDED", "DONE"})


def _take_any_word(of_states: set[str]) -> None:
    from taskrunner.model.states import AttemptStatus
    from taskrunner.service.store import attempts as attempt_store
    from taskrunner.service.store.tables import handouts
    from taskrunner.service.tasks import Concluded, Tasks

    original = Tasks.conclude

    def conclude(
        self: Tasks, task_id: str, status: str, *args: Any, **kwargs: Any
    ) -> Concluded | None:
        held = self._held(task_id)
        handout = held.handout
        if handout.state not in of_states:
            return original(self, task_id, status, *args, **kwargs)
        attempts = attempt_store.load_attempts(
            self.conn, handout.pipeline_id, attempt_ids=[handout.attempt_id]
        )
        taken = self._conclude(attempts[0], AttemptStatus(status), None, None)
        assert held.instance is not None
        self.conn.execute(
            handouts.update().where(handouts.c.task_id == task_id).values(state="DONE")
        )
        return Concluded(instance=held.instance, attempt=taken or attempts[0])

    Tasks.conclude = conclude  # type: ignore[method-assign]


def _silence_ignored() -> None:
    """A1, A5, L1: the service waits for a silent runner for ever."""
    from taskrunner.model import planner

    planner._silent = lambda *_args: []


def _answered_first() -> None:
    """B1: the service answers a verdict, and only then goes about storing it."""
    from taskrunner.service.engine import Service

    original = Service.set_task_status

    def later(self: Service, *args: Any, **kwargs: Any) -> None:
        timer = threading.Timer(30, original, (self, *args), kwargs)
        timer.daemon = True
        timer.start()

    Service.set_task_status = later  # type: ignore[assignment,method-assign]


def _failures_swallowed() -> None:
    """B3: the service answers whether or not the store could commit."""
    from sqlalchemy.engine import Connection
    from sqlalchemy.exc import OperationalError

    from taskrunner.service.store.sqlite_backend import SqliteBackend

    original = SqliteBackend.change

    @contextmanager
    def change(self: SqliteBackend, connection: Connection) -> Iterator[None]:
        done = False
        try:
            with original(self, connection):
                yield
                done = True
        except OperationalError:
            if not done:
                raise

    SqliteBackend.change = change  # type: ignore[method-assign]


def _verdict_before_effect() -> None:
    """A2: the agent says FINISHED as soon as the work has begun."""
    from taskrunner.agent.handouts import attempt
    from taskrunner.agent.ipc import verdicts

    def work(self: attempt.Attempt, ready: Any) -> object:
        original = self._wake
        ended = threading.Event()
        self._wake = ended
        threading.Thread(target=original_work, args=(self, ready), daemon=True).start()
        SystemClock().wait(threading.Event(), 0.3)
        self._wake = original
        return verdicts.FINISHED

    original_work = attempt.Attempt._work
    attempt.Attempt._work = work  # type: ignore[method-assign, assignment]
    attempt.ship_logs = lambda *_args, **_kwargs: None


def _outbox_gives_up() -> None:
    """A4: the agent tells a verdict once, and forgets it when nobody listens."""
    from taskrunner.agent.handouts.outbox import Outbox
    from taskrunner.agent.journal.journal import Entry

    def deliver(self: Outbox, entry: Entry) -> None:
        if not self._send(entry):
            entry.close()

    Outbox.deliver = deliver  # type: ignore[method-assign]


def _orphans_live() -> None:
    """A7: what an agent ran goes on when the agent is dead."""
    from taskrunner.agent.forks import forkserver, process_setup
    from taskrunner.host.cgroups import Groups

    Groups.make = lambda *_: None  # type: ignore[assignment, method-assign]
    vars(forkserver).update(kill_tree=lambda _pid: None, kill_descendants=lambda **_: 0)
    vars(process_setup).update(die_with_parent=lambda: None)


def _outputs_in_place() -> None:
    """OUTPUT: an object is written where its readers look, piece by piece."""
    from taskrunner.data.objects.local import FileBackend
    from taskrunner.data.objects.location import Location

    @contextmanager
    def open_write(self: FileBackend, location: Location, **_: Any) -> Iterator[_Slow]:
        path: Path = self.path(location)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb", buffering=0) as file:
            yield _Slow(file.write)

    FileBackend.open_write = open_write  # type: ignore[method-assign]


class _Slow:
    """Writes in two pieces, with time to look in between."""

    def __init__(self, write: Callable[[bytes], int | None]) -> None:
        self._write = write

    def write(self, data: bytes, /) -> int:
        self._write(data[: len(data) // 2])
        SystemClock().wait(threading.Event(), 0.5)
        self._write(data[len(data) // 2 :])
        return len(data)


STORM_MUTANTS: Mapping[str, Callable[[], None]] = {
    "fence-off": _fence_off,
    "compare-and-set-off": _compare_and_set_off,
    "silence-ignored": _silence_ignored,
    "answered-first": _answered_first,
    "failures-swallowed": _failures_swallowed,
    "verdict-before-effect": _verdict_before_effect,
    "outbox-gives-up": _outbox_gives_up,
    "orphans-live": _orphans_live,
    "outputs-in-place": _outputs_in_place,
}
