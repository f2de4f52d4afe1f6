"""B3: a full or failing disk under the store is told, never lied about, and work goes on after it.

Clients keep a service busy while its disk, or its database server's, has no room left, or fails at
each k-th write or flush. What was answered with 200 is in the store, what was refused for want of
room is not, and when the disk is well again the clients go on. Who ends is started again, as
systemd does: a store whose flush has failed stops the service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.chaos.audit import Ledger
from tests.chaos.failing_disk import failing, filled, needs_strace, small_disk
from tests.chaos.mortal_postgresql import MortalPostgresql, mortal_postgresql
from tests.chaos.scale import Chaos, is_full
from tests.chaos.service_load import Load, load
from tests.chaos.storm import Service
from tests.chaos.test_service_kills import CLIENTS, PATIENT, serving
from tests.integration.agent_harness import wait_for
from tests.server_process import Account, temporary_folder

pytestmark = pytest.mark.xdist_group("chaos-failing-disk")

#: Of a full disk so many calls are refused before there is room again, and then as many answered.
_REFUSALS, _ANSWERS = 4, 12
#: What a service says of a full disk; then nothing may have been changed.
_FULL = "the service's database is full: nothing was changed"
#: Blocks of 4 KiB that are left on a full disk, at the most.
_LEFT = 12
#: A failing call is each one of these, or rarer.
_RAREST = 12
_WRITES, _FLUSHES = "pwrite64", "fsync,fdatasync"


@dataclass
class Scene:
    """A service at work on a disk of its own."""

    chaos: Chaos
    disk: Path
    service: Service
    busy: Load
    #: Starts what has ended, of those that the service needs.
    revive: Callable[[], None]
    pids: Callable[[], list[int]]
    faults: dict[str, int] = field(default_factory=dict)
    restarts: int = 0

    def fault(self, kind: str) -> None:
        self.faults[kind] = self.faults.get(kind, 0) + 1

    def fill(self) -> None:
        """No room for a while."""
        with filled(self.disk, self.chaos.random.randrange(_LEFT)):
            self.busy.more_refusals(_REFUSALS)
        self.fault("full")
        self.heal()

    def fail(self, kind: str, calls: str, error: str, log: Path) -> None:
        """Each k-th call fails for a while."""
        every = self.chaos.random.randint(1, _RAREST)
        with failing(self.pids(), calls, error, every, log) as struck:
            self.busy.more_refusals(1)
        assert struck.times, f"no {calls} failed"
        self.fault(kind)
        self.heal()

    def heal(self) -> None:
        """The disk is well: who has ended, or is about to, is started again, and all goes on."""
        self.revive()
        goal = self.busy.answered.total + _ANSWERS

        def goes_on() -> bool:
            if self.service.has_ended():
                self.restarts += 1
                self.service.start()
                self.busy.url = self.service.url
            return bool(self.busy.wrong) or self.busy.answered.total >= goal

        wait_for("answers", goes_on, 120)
        assert not self.busy.wrong, self.busy.wrong
        assert self.lost() == []

    def lost(self) -> list[str]:
        """What was answered with 200 and is not there."""
        with closing(Ledger(self.service.database_url)) as ledger:
            return self.busy.lost(ledger)

    def said(self) -> str:
        kinds = ", ".join(f"{count} times {kind}" for kind, count in sorted(self.faults.items()))
        refused = {status: n for status, n in sorted(self.busy.refused.items()) if status}
        return (
            f"{kinds}; {self.busy.answered.total} changes answered with 200, none lost; refused "
            f"by status {refused}, not answered {self.busy.refused[0]}; the service was started "
            f"again {self.restarts} times"
        )


@contextmanager
def on_sqlite(chaos: Chaos, folder: Path, mutant: str | None = None) -> Iterator[Scene]:
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(folder / "disk", 48))
        url = f"sqlite:///{disk / 'service.db'}"
        plan = replace(PATIENT, database_url=url, service_mutant=mutant)
        service = stack.enter_context(serving(folder, plan))
        busy = stack.enter_context(load(CLIENTS, service.url))
        yield Scene(chaos, disk, service, busy, lambda: None, lambda: [service.pid])


@contextmanager
def on_postgresql(chaos: Chaos, folder: Path) -> Iterator[Scene]:
    account = Account.unprivileged("postgres")
    with ExitStack() as stack:
        # Where the server's user gets at it.
        place = stack.enter_context(temporary_folder("disk", account))
        disk = stack.enter_context(small_disk(place / "disk", 96))
        account.own(disk)
        server: MortalPostgresql = stack.enter_context(
            mortal_postgresql({"min_wal_size": "2MB", "max_wal_size": "8MB"}, disk)
        )
        service = stack.enter_context(serving(folder, replace(PATIENT, database_url=server.url)))
        busy = stack.enter_context(load(CLIENTS, service.url))

        yield Scene(chaos, disk, service, busy, server.revive, server.pids)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.external_service)])
def scene(chaos: Chaos, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "postgresql" and not chaos.full:
        pytest.skip("a server and a disk for it: in the full form only (make chaos)")
    make = on_sqlite if request.param == "sqlite" else on_postgresql
    with make(chaos, tmp_path) as found:
        yield found


def store_of(scene: Scene) -> str:
    return "SQLite" if scene.service.database_url.startswith("sqlite") else "PostgreSQL"


@pytest.mark.skipif(not is_full(), reason="tests/integration/test_store_full.py is its short form")
def test_a_full_disk_is_told_and_no_lie(chaos: Chaos, scene: Scene) -> None:
    for _ in range(50):
        scene.fill()
    scene.busy.finish()
    assert scene.busy.wrong == []
    assert scene.lost() == []
    if store_of(scene) == "SQLite":
        # Nobody has died, so that each refusal has said so, and must have been true.
        assert all(text.startswith(_FULL) for text in scene.busy.said), scene.busy.said
        with closing(Ledger(scene.service.database_url)) as ledger:
            assert scene.busy.surplus(ledger) == []
    chaos.found("B3", f"{store_of(scene)}: {scene.said()}")


def test_writes_and_flushes_that_fail_are_told(chaos: Chaos, scene: Scene, tmp_path: Path) -> None:
    needs_strace()
    log = tmp_path / "strace.log"
    for number in range(chaos.trials(1, 50)):
        if number % 3 == 2:
            scene.fail("EIO at a flush", _FLUSHES, "EIO", log)
        elif number % 3 == 1:
            scene.fail("ENOSPC at a write", _WRITES, "ENOSPC", log)
        else:
            scene.fail("EIO at a write", _WRITES, "EIO", log)
    scene.busy.finish()
    assert scene.busy.wrong == []
    assert scene.lost() == []
    chaos.found("B3", f"{store_of(scene)}: {scene.said()}")


@pytest.mark.skipif(not is_full(), reason="a service for it: in the full form only (make chaos)")
def test_a_service_that_answers_whatever_the_store_says_is_found(
    chaos: Chaos, tmp_path: Path
) -> None:
    with on_sqlite(chaos, tmp_path, mutant="failures-swallowed") as scene:
        scene.busy.more_answers(_ANSWERS)
        with filled(scene.disk, 0):
            scene.busy.more_answers(40)
        lost = scene.lost()
    assert lost
    chaos.found("B3", f"failures of the store are swallowed, as it must be: lost {lost[0]}")
