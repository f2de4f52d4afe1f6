"""B1: what the service has answered with 200 outlives kill -9, its own and its database server's.

Clients keep it busy all the time. It is killed between any two instructions of a transaction, or of
several; what they were told is looked for in the store as the kill has left it.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.audit import Ledger
from tests.chaos.forked_service import ForkedService
from tests.chaos.history import History
from tests.chaos.hosts import pause_for
from tests.chaos.mortal_postgresql import MortalPostgresql, mortal_postgresql
from tests.chaos.scale import Chaos
from tests.chaos.service_load import Load, load
from tests.chaos.storm import Plan, Service
from tests.server_process import ServerMissing

pytestmark = pytest.mark.xdist_group("chaos-service-kills")

CLIENTS = 3
#: No task is taken from a client because its service was away for a while.
PATIENT = Plan(ack_s=60, lease_s=120)
#: Answers between two kills at the least: of each kind there are some.
_ANSWERS = 12
#: A kill comes at any moment of so many seconds: some calls' time.
_MOMENT_S = 0.05


@contextmanager
def serving(folder: Path, plan: Plan) -> Iterator[Service]:
    """`taskrunner serve`, to be killed and started again."""
    with closing(History(folder / "history.jsonl")) as history:
        service = ForkedService(folder, plan, history)
        try:
            service.start()
            yield service
        finally:
            service.stop()


def kill_service(service: Service, busy: Load, chaos: Chaos) -> None:
    busy.url = service.url
    busy.more_answers(_ANSWERS)
    pause_for(chaos.random.uniform(0, _MOMENT_S))
    service.kill()


def found_in_copy(folder: Path, busy: Load) -> list[str]:
    """What a file that was left by a kill lacks; it stays as it is for the next service."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for part in ("service.db", "service.db-wal"):
        shutil.copy(folder / part, copy)
    with closing(sqlite3.connect(copy / "service.db")) as connection:
        told = connection.execute("PRAGMA integrity_check").fetchall()
    found = [] if told == [("ok",)] else [f"integrity_check: {told}"]
    with closing(Ledger(f"sqlite:///{copy / 'service.db'}")) as ledger:
        return [*found, *busy.lost(ledger)]


def kill_with_sqlite(chaos: Chaos, folder: Path, plan: Plan, kills: int) -> tuple[Load, list[str]]:
    """Kill so often, or until something is lost."""
    lost: list[str] = []
    with serving(folder, plan) as service, load(CLIENTS, service.url) as busy:
        for _ in range(kills):
            kill_service(service, busy, chaos)
            lost = found_in_copy(folder, busy)
            if lost or busy.wrong:
                break
            service.start()
            busy.url = service.url
        else:
            busy.finish()
            with closing(Ledger(service.database_url)) as ledger:
                lost = busy.lost(ledger)
    # A client sees it too, when what it goes on with is gone.
    return busy, [*lost, *busy.wrong]


def test_what_was_answered_outlives_kills_of_the_service(chaos: Chaos, tmp_path: Path) -> None:
    kills = chaos.trials(1, 200)
    busy, lost = kill_with_sqlite(chaos, tmp_path, PATIENT, kills)
    assert lost == []
    chaos.found(
        "B1",
        f"SQLite: {kills} kills of the service, {busy.answered.total} changes answered with 200, "
        f"none lost; integrity_check ok each time; {busy.refused.total()} calls without an answer",
    )


def test_verdicts_that_are_answered_before_their_commit_are_lost(
    chaos: Chaos, tmp_path: Path
) -> None:
    if not chaos.full:
        pytest.skip("much the same as with two services: in the full form only (make chaos)")
    _, lost = kill_with_sqlite(
        chaos, tmp_path, replace(PATIENT, service_mutant="answered-first"), 20
    )
    assert any(text.startswith("verdict") for text in lost), lost
    chaos.found("B1", f"SQLite, answered before the commit, as it must be: {lost[0]}")


# -- PostgreSQL -----------------------------------------------------------------------------------


#: What was given to the kernel outlives any kill of a process.
_NO_FLUSH = {"fsync": "off"}


def kill_with_postgresql(
    chaos: Chaos, folder: Path, server: MortalPostgresql, kills: int
) -> tuple[Load, list[str], int]:
    """Kill the server so often, and the service with it at times, or until something is lost."""
    lost: list[str] = []
    services = 0
    plan = replace(PATIENT, database_url=server.url)
    with serving(folder, plan) as service, load(CLIENTS, service.url) as busy:
        for _ in range(kills):
            busy.more_answers(_ANSWERS)
            pause_for(chaos.random.uniform(0, _MOMENT_S))
            server.kill()
            both = chaos.random.random() < 0.2
            if both:
                service.kill()
            server.start()
            with closing(Ledger(server.url)) as ledger:
                lost = busy.lost(ledger)
            if lost or busy.wrong:
                break
            if both:
                service.start()
                busy.url = service.url
                services += 1
        else:
            busy.finish()
            with closing(Ledger(server.url)) as ledger:
                lost = busy.lost(ledger)
    # A client sees it too, when what it goes on with is gone.
    return busy, [*lost, *busy.wrong], services


@pytest.mark.external_service
def test_what_was_answered_outlives_kills_of_the_database_server(
    chaos: Chaos, tmp_path: Path
) -> None:
    kills = chaos.trials(1, 100)
    try:
        with mortal_postgresql(_NO_FLUSH) as server:
            busy, lost, services = kill_with_postgresql(chaos, tmp_path, server, kills)
    except ServerMissing as missing:
        pytest.skip(str(missing))
    assert lost == []
    chaos.found(
        "B1",
        f"PostgreSQL: {kills} kills of the server with all backends, {services} of them with the "
        f"service, {busy.answered.total} changes answered with 200, none lost; "
        f"{busy.refused.total()} calls without an answer",
    )


@pytest.mark.external_service
def test_a_server_that_commits_later_than_it_says_loses_some(chaos: Chaos, tmp_path: Path) -> None:
    if not chaos.full:
        pytest.skip("another server for it: in the full form only (make chaos)")
    late = {"synchronous_commit": "off", "wal_writer_delay": "10s"}
    with mortal_postgresql({**_NO_FLUSH, **late}) as server:
        _, lost, _ = kill_with_postgresql(chaos, tmp_path, server, 20)
    assert lost
    chaos.found("B1", f"PostgreSQL, synchronous_commit off, as it must be: lost {lost[0]}")
