from __future__ import annotations

import gzip
import os
import queue
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from taskrunner.agent.forks.children import Child
from taskrunner.agent.ipc import frames
from taskrunner.agent.ipc.verdicts import Exit
from taskrunner.agent.lifecycle import Mailbox, Threads
from taskrunner.agent.logs.shipping import LogShipper
from taskrunner.agent.logs.uploads import Uploader, serve_uploads
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, TaskError
from tests.unit.agent.fakes import FakeClock, FakeSpawner


class ThreadSpawner(FakeSpawner):
    """Runs the shipper's role in a thread, over the same socket."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.threads: list[threading.Thread] = []
        self.die = False

    def spawn(
        self,
        role: str,
        payload: bytes,
        *,
        on_started: Callable[[int], None] | None = None,
        on_exit: Callable[[], None],
        descriptor: int | None = None,
    ) -> Child:
        assert role == "shipper"
        assert descriptor is not None
        sock = socket.socket(fileno=os.dup(descriptor))
        settings = DataSettings(s3_root=self.root)

        def serve() -> None:
            with sock:
                if not self.die:
                    serve_uploads(sock, lambda _user: open_store(settings))

        self.threads.append(threading.Thread(target=serve))
        self.threads[-1].start()
        return super().spawn(role, payload, on_exit=on_exit)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.spawner = ThreadSpawner(folder / "s3")
        self.shipper = LogShipper(self.spawner, Threads(queue.SimpleQueue()), FakeClock())
        self.log = folder / "StdOutput"
        self.log.write_text("a line\n" * 100_000)
        self.target = folder / "s3" / "b" / "StdOutput.gz"

    def ship(self, uri: str = "s3://b/StdOutput.gz") -> None:
        self.shipper.ship([(self.log, uri)])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.shipper.tick()
    for thread in bench.spawner.threads:
        thread.join()


def test_logs_arrive_gzipped(bench: Bench) -> None:
    bench.ship()
    assert gzip.decompress(bench.target.read_bytes()) == bench.log.read_bytes()
    assert len(bench.target.read_bytes()) < 50_000


def test_one_process_serves_until_it_is_idle(bench: Bench) -> None:
    bench.ship()
    bench.ship("s3://b/2.gz")
    assert len(bench.spawner.threads) == 1
    bench.shipper.tick()
    bench.spawner.threads[0].join()
    bench.ship("s3://b/3.gz")
    assert len(bench.spawner.threads) == 2


def test_a_failure_names_the_object_and_keeps_its_error_id(bench: Bench) -> None:
    with pytest.raises(TaskError, match=r"log nowhere://x: ") as caught:
        bench.ship("nowhere://x")
    assert caught.value.error_id == ErrorId.INVALID_FIELD


def test_a_process_that_dies_fails_what_was_under_way_and_is_replaced(bench: Bench) -> None:
    bench.spawner.die = True
    with pytest.raises(TaskError) as caught:
        bench.ship()
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED
    bench.spawner.die = False
    bench.ship()
    assert bench.target.exists()


def test_no_uploads_start_no_process(bench: Bench) -> None:
    bench.shipper.ship([])
    assert bench.spawner.threads == []


def test_a_log_that_vanishes_leaves_no_object(tmp_path: Path) -> None:
    store = open_store(DataSettings(s3_root=tmp_path / "s3"))
    with ThreadPoolExecutor(1) as executor, pytest.raises(FileNotFoundError):
        Uploader(store, executor).log(tmp_path / "none", "s3://b/x.gz")
    assert store.stat("s3://b/x.gz") is None


def test_small_logs_do_not_wait_for_large_ones(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "s3" / "b").mkdir(parents=True)
    os.mkfifo(tmp_path / "large")  # whose reader waits for a writer
    ends = [threading.Event() for _ in range(4)]
    for number, end in enumerate(ends):
        bench.shipper.push(
            tmp_path / "large", f"s3://b/{number}.gz", 0, 5 << 20, partial(_ended, end)
        )
    bench.ship()
    assert bench.target.exists()
    assert not any(end.is_set() for end in ends)
    # One who both reads and writes waits for nobody, and lets every reader in while it is open.
    writer = os.open(tmp_path / "large", os.O_RDWR)
    assert all(end.wait(60) for end in ends)
    os.close(writer)


def _ended(end: threading.Event, _error: TaskError | None) -> None:
    end.set()


class SocketSpawner(FakeSpawner):
    """Leaves it to the test to answer."""

    sock: socket.socket

    def spawn(
        self,
        role: str,
        payload: bytes,
        *,
        on_started: Callable[[int], None] | None = None,
        on_exit: Callable[[], None],
        descriptor: int | None = None,
    ) -> Child:
        assert descriptor is not None
        self.sock = socket.socket(fileno=os.dup(descriptor))
        return super().spawn(role, payload, on_exit=on_exit)


def test_answers_that_are_read_after_the_end_of_the_process_was_told_are_passed_over() -> None:
    mailbox: Mailbox = queue.SimpleQueue()
    reading: list[threading.Thread] = []

    class Noting(Threads):
        def run(self, name: str, work: Callable[[], None]) -> threading.Thread:
            reading.append(super().run(name, work))
            return reading[-1]

    spawner = SocketSpawner()
    shipper = LogShipper(spawner, Noting(mailbox), FakeClock())
    in_done, told, errors = threading.Event(), threading.Event(), list[TaskError | None]()

    def first_ends(error: TaskError | None) -> None:
        errors.append(error)
        in_done.set()
        told.wait(60)

    shipper.push(Path("/a"), "s3://b/1", 0, 1, first_ends)
    shipper.push(Path("/a"), "s3://b/2", 0, 1, errors.append)
    for _ in range(2):
        frame = frames.receive(spawner.sock)
        assert frame is not None
        frames.send(spawner.sock, {"id": frame.head["id"]})
    spawner.sock.close()
    assert in_done.wait(60)
    spawner.children[0].ended(Exit(status=9))
    told.set()
    reading[0].join(60)
    assert mailbox.empty()
    assert [error and error.error_id for error in errors] == [None, ErrorId.CONNECTION_FAILED]


@contextmanager
def _no_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_without_descriptors_all_that_needs_the_process_fails_for_now(bench: Bench) -> None:
    told: list[TaskError | None] = []
    with _no_descriptors():
        with pytest.raises(TaskError, match="open files") as shipping:
            bench.ship()
        with pytest.raises(TaskError, match="open files") as dropping:
            bench.shipper.drop(["s3://b/x"])
        bench.shipper.push(bench.log, "s3://b/part", 0, 1, told.append)
    (pushing,) = told
    for error in (shipping.value, dropping.value, pushing):
        assert error is not None
        assert error.error_id == ErrorId.CONNECTION_FAILED
    assert not bench.shipper.busy()
    bench.ship()
    assert bench.target.exists()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_without_threads_no_process_is_started_and_no_descriptor_lost() -> None:
    class NoMore(Threads):
        def run(self, name: str, work: Callable[[], None]) -> threading.Thread:
            raise RuntimeError("can't start new thread")

    spawner = FakeSpawner()
    shipper = LogShipper(spawner, NoMore(queue.SimpleQueue()), FakeClock())
    before = _descriptors()
    with pytest.raises(TaskError, match="new thread") as caught:
        shipper.ship([(Path("/a"), "s3://b/1")])
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED
    assert spawner.spawned == []
    assert _descriptors() == before
