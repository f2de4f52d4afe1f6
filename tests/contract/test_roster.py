"""Who asks for work is known by it, on every store, and costs no write for each poll."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from datetime import timedelta

import pytest
import sqlalchemy as sa

from taskrunner.errors import StoreError
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.service.roster import (
    MOST_GROUPS_OF_ONE,
    MOST_REFUSED,
    MOST_REFUSED_OF_ONE,
    Roster,
    RunnerCall,
)
from taskrunner.service.store import runners as runner_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.key_tables import data_keys
from taskrunner.service.store.rows import RefusedPollRow, RunnerGroupRow, RunnerRow
from taskrunner.service.store.tables import METADATA, refused_polls, store_identity
from taskrunner.testing import FakeClock
from taskrunner.wire.user_agent import DOCTOR, RunnerFacts
from tests import servers
from tests.contract.stores import OPENING, STORES

ACCOUNT = ANONYMOUS.account
LONG_AGO = FakeClock().now() - timedelta(days=1)
AGENT = RunnerFacts(runner_id="4f", slots=2, busy=1, paused="")
CALL = RunnerCall(caller=ANONYMOUS, ip="192.0.2.1", facts=AGENT)
FOREIGN = RunnerCall(caller=ANONYMOUS, ip="192.0.2.2")


@pytest.fixture(scope="module", params=STORES)
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """One store of each kind for all tests."""
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path_factory.mktemp('roster') / 'service.db'}"
        if request.param == "postgresql":
            server = request.getfixturevalue("postgresql_url")
            url = stack.enter_context(servers.postgresql_database(server))
        yield stack.enter_context(closing(Store(url, opening=OPENING)))


@pytest.fixture
def store(opened: Store) -> Store:
    with opened.write() as conn:
        for table in {*METADATA.sorted_tables} - {store_identity, data_keys}:
            conn.execute(table.delete())
    return opened


class CountingStore:
    """Counts the transactions that write, and may be full."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.writes = 0
        self.full = False

    def write(self) -> AbstractContextManager[sa.Connection]:
        if self.full:
            raise StoreError("full")
        self.writes += 1
        return self._store.write()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def roster(store: Store, clock: FakeClock) -> Roster:
    return Roster(store, clock)


def runners(store: Store, account: str = ACCOUNT) -> list[RunnerRow]:
    with store.read() as conn:
        return runner_store.load_runners(conn, account, since=LONG_AGO)


def groups(store: Store) -> list[RunnerGroupRow]:
    with store.read() as conn:
        return runner_store.load_groups(conn, ACCOUNT, since=LONG_AGO)


def refused(store: Store, account: str = ACCOUNT) -> list[RefusedPollRow]:
    with store.read() as conn:
        return runner_store.load_refused(conn, account, since=LONG_AGO)


def refusal(clock: FakeClock, *, ip: str = "192.0.2.9", group: str = "wg") -> RefusedPollRow:
    return RefusedPollRow(
        ip=ip, worker_group=group, code="AccessDeniedException", message="no", last_at=clock.now()
    )


def test_a_poll_makes_a_runner_known_with_what_it_says_of_itself(
    store: Store, clock: FakeClock, roster: Roster
) -> None:
    began = clock.now()
    roster.polled(CALL, "wg", "host-a")
    clock.advance(3)
    roster.beat(RunnerCall(caller=ANONYMOUS), "4f", "wg", "host-a")
    roster.save(clock.now())

    assert runners(store) == [
        RunnerRow(
            account=ACCOUNT,
            runner_id="4f",
            user_id=ANONYMOUS.user,
            first_seen_at=began,
            last_seen_at=clock.now(),
            last_poll_at=began,
            last_heartbeat_at=clock.now(),
            hostname="host-a",
            ip="192.0.2.1",
            version=AGENT.version,
            slots=2,
            busy=1,
            paused="",
        )
    ]
    assert groups(store) == [
        RunnerGroupRow(
            account=ACCOUNT,
            runner_id="4f",
            worker_group="wg",
            last_seen_at=clock.now(),
            last_poll_at=began,
        )
    ]


def test_a_runner_of_somebody_else_is_known_by_its_host(
    store: Store, clock: FakeClock, roster: Roster
) -> None:
    roster.polled(FOREIGN, "wg", "host-b")
    roster.polled(FOREIGN, "Wg", None)
    roster.worked(FOREIGN)
    roster.save(clock.now())

    assert {row.runner_id for row in runners(store)} == {"host-b", "192.0.2.2"}
    assert {row.worker_group for row in groups(store)} == {"wg", "Wg"}
    assert {(row.version, row.slots, row.paused) for row in runners(store)} == {(None, None, None)}


def test_a_report_on_a_task_tells_how_busy_a_runner_is(
    store: Store, clock: FakeClock, roster: Roster
) -> None:
    roster.polled(CALL, "wg", "host-a")
    clock.advance(60)
    full = RunnerFacts(runner_id="4f", slots=2, busy=2, paused="operator: upgrade")
    roster.worked(RunnerCall(caller=ANONYMOUS, ip="192.0.2.1", facts=full))
    roster.save(clock.now())

    (row,) = runners(store)
    assert (row.busy, row.paused, row.hostname) == (2, "operator: upgrade", "host-a")
    assert row.last_poll_at == clock.now() - timedelta(seconds=60)


def test_a_doctor_is_no_runner(store: Store, clock: FakeClock, roster: Roster) -> None:
    doctor = RunnerCall(caller=ANONYMOUS, ip="192.0.2.1", facts=RunnerFacts(program=DOCTOR))
    roster.polled(doctor, "wg", "host-a")
    roster.beat(doctor, "anything", "wg", "host-a")
    roster.beat(RunnerCall(caller=ANONYMOUS), "doctor-host-a", "wg", "host-a")
    roster.save(clock.now())

    assert runners(store) == []
    assert groups(store) == []


def test_many_polls_are_one_write_in_ten_seconds(store: Store, clock: FakeClock) -> None:
    counting = CountingStore(store)
    roster = Roster(counting, clock)
    for _ in range(100):
        roster.polled(CALL, "wg", "host-a")
        roster.step(clock.now())
        clock.advance(0.1)
    assert counting.writes == 1
    clock.advance(1)
    roster.step(clock.now())
    assert counting.writes == 2
    roster.step(clock.now() + timedelta(minutes=1))
    assert counting.writes == 2, "nothing has changed since"


def test_a_restart_keeps_since_when_a_runner_is_known(
    store: Store, clock: FakeClock, roster: Roster
) -> None:
    began = clock.now()
    roster.polled(CALL, "wg", "host-a")
    roster.save(clock.now())
    clock.advance(60)
    later = Roster(store, clock)
    later.beat(RunnerCall(caller=ANONYMOUS), "4f", "wg", None)
    later.save(clock.now())

    (row,) = runners(store)
    assert (row.first_seen_at, row.last_poll_at) == (began, began)
    assert (row.hostname, row.slots, row.last_heartbeat_at) == ("host-a", 2, clock.now())
    assert groups(store)[0].last_poll_at == began


def test_runners_belong_to_the_account_that_asks(
    store: Store, clock: FakeClock, roster: Roster
) -> None:
    other = Caller(account="1", user="u")
    roster.polled(CALL, "wg", "host-a")
    roster.polled(RunnerCall(caller=other, facts=AGENT), "wg", "host-z")
    roster.save(clock.now())

    assert [row.hostname for row in runners(store)] == ["host-a"]
    assert [row.hostname for row in runners(store, "1")] == ["host-z"]
    with store.read() as conn:
        (found,) = runner_store.load_runners_of_group(conn, ACCOUNT, "wg")
        assert found.hostname == "host-a"
        assert runner_store.load_runners_of_group(conn, ACCOUNT, "other") == []


def test_what_fails_to_be_saved_is_saved_the_next_time(store: Store, clock: FakeClock) -> None:
    counting = CountingStore(store)
    roster = Roster(counting, clock)
    roster.polled(CALL, "wg", "host-a")
    counting.full = True
    with pytest.raises(StoreError):
        roster.step(clock.now())
    counting.full = False
    roster.step(clock.now())

    assert len(runners(store)) == 1


def test_the_same_refusal_again_is_one_row(store: Store, clock: FakeClock, roster: Roster) -> None:
    for _ in range(3):
        roster.refused(refusal(clock))
        clock.advance(20)
        roster.step(clock.now())

    (row,) = refused(store)
    assert row.last_at == clock.now() - timedelta(seconds=20)
    assert refused(store, "1") == [row], "nobody's account is known by it: it is told to all"


def test_refusals_are_bounded_in_all_and_of_one_address(
    store: Store, clock: FakeClock, roster: Roster
) -> None:
    roster.refused(refusal(clock, ip="192.0.2.8"))
    for n in range(5 * MOST_REFUSED):
        clock.advance(0.001)
        roster.refused(refusal(clock, group=f"g{n}"))
    roster.save(clock.now())
    ips = [row.ip for row in refused(store)]
    assert ips.count("192.0.2.9") == MOST_REFUSED_OF_ONE
    assert "192.0.2.8" in ips, "one address crowds out no other"
    for n in range(MOST_REFUSED + 9):
        clock.advance(0.001)
        roster.refused(refusal(clock, ip=f"n{n}"))
        roster.save(clock.now())
    with store.read() as conn:
        count = conn.execute(sa.select(sa.func.count()).select_from(refused_polls)).scalar_one()
    assert count == MOST_REFUSED


def test_groups_of_one_runner_are_bounded(store: Store, clock: FakeClock, roster: Roster) -> None:
    for n in range(2 * MOST_GROUPS_OF_ONE):
        roster.polled(CALL, f"g{n}", "host-a")
    roster.polled(FOREIGN, "wg", "host-b")
    roster.save(clock.now())

    found = {row.worker_group for row in groups(store)}
    assert found == {"wg", *(f"g{n}" for n in range(MOST_GROUPS_OF_ONE, 2 * MOST_GROUPS_OF_ONE))}


def test_several_processes_may_save_the_same_runner_at_once(store: Store, clock: FakeClock) -> None:
    def save(n: int) -> None:
        roster = Roster(store, FakeClock(clock.now() + timedelta(seconds=n)))
        for name in ("a", "b"):
            roster.polled(CALL, f"{name}{n % 2}", "host-a")
        roster.beat(RunnerCall(caller=ANONYMOUS), f"r{n % 3}", None, None)
        roster.save(clock.now())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, range(12)))

    assert {row.runner_id for row in runners(store)} == {"4f", "r0", "r1", "r2"}
