"""The servers of a run of tests: one of each, whichever worker asks first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import AuthenticationError

import pytest

from tests.server_process import ServerMissing
from tests.shared_servers import DeskServers, ServerDesk


def _raised(error: Exception) -> str:
    raise error


class Starts:
    """Starters of servers that do nothing but note what happens to them."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.threads: set[int] = set()

    @contextmanager
    def good(self) -> Iterator[str]:
        self.happened.append("started")
        self.threads.add(threading.get_ident())
        yield "http://good"
        self.happened.append("ended")
        self.threads.add(threading.get_ident())

    @contextmanager
    def missing(self) -> Iterator[str]:
        self.happened.append("looked for")
        yield _raised(ServerMissing("gooddb is not installed (package gooddb-server)"))

    @contextmanager
    def broken(self) -> Iterator[str]:
        yield _raised(OSError("no port is free"))


@pytest.fixture
def starts() -> Starts:
    return Starts()


@pytest.fixture
def desk(starts: Starts) -> Iterator[ServerDesk]:
    desk = ServerDesk({"good": starts.good, "missing": starts.missing, "broken": starts.broken})
    yield desk
    desk.close()


def test_whoever_asks_gets_the_same_server(desk: ServerDesk, starts: Starts) -> None:
    found: list[str] = []

    def ask() -> None:
        found.append(DeskServers(desk.port, desk.key).url("good"))

    workers = [threading.Thread(target=ask) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == ["http://good"] * 8
    assert starts.happened == ["started"]


def test_the_servers_end_with_the_desk_in_the_thread_that_started_them(starts: Starts) -> None:
    desk = ServerDesk({"good": starts.good})
    DeskServers(desk.port, desk.key).url("good")
    desk.close()
    assert starts.happened == ["started", "ended"]
    assert len(starts.threads) == 1


def test_what_is_missing_or_broken_is_told_each_time(desk: ServerDesk, starts: Starts) -> None:
    servers = DeskServers(desk.port, desk.key)
    for _ in range(2):
        with pytest.raises(ServerMissing, match="package gooddb-server"):
            servers.url("missing")
        with pytest.raises(RuntimeError, match=r"broken.*no port is free"):
            servers.url("broken")
    assert starts.happened == ["looked for"]


def test_a_stranger_is_told_nothing_and_the_desk_goes_on(desk: ServerDesk) -> None:
    with pytest.raises((AuthenticationError, EOFError, OSError)):
        DeskServers(desk.port, "another key").url("good")
    assert DeskServers(desk.port, desk.key).url("good") == "http://good"
