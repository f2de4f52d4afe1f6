"""The fork server with real processes: what it starts, ends, sees and leaves behind."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from taskrunner.agent.forks.children import Child, Children
from taskrunner.agent.forks.forkserver import Role
from taskrunner.agent.ipc.attempt_roles import ATTEMPT, LOADER
from taskrunner.agent.ipc.verdicts import Exit
from tests.integration.agent_harness import PATIENCE_S, wait_for


def _roles() -> Mapping[str, Role]:
    return {
        ATTEMPT: lambda payload, _: os._exit(int(payload)),
        LOADER: _load,
        "loaded": _loaded,
        "exit": lambda payload, _: os._exit(int(payload)),
        "raise": _raise,
        "signal": lambda payload, _: os.kill(os.getpid(), int(payload)),
        "describe": _describe,
        "wait": lambda *_: signal.pause(),
        "orphan": _orphan,
        "descriptor": _descriptor,
    }


def _load(payload: bytes, _descriptor: int | None) -> None:
    """Show in the attempts that follow that it was called."""
    os.environ["LOADED"] = payload.decode()


def _loaded(payload: bytes, _descriptor: int | None) -> None:
    Path(payload.decode()).write_text(os.environ["LOADED"])


def _raise(_payload: bytes, _descriptor: int | None) -> None:
    raise ValueError("in the child")


def _describe(payload: bytes, _descriptor: int | None) -> None:
    lines = [
        f"session {os.getsid(0) == os.getpid()}",
        f"umask {os.umask(0):o}",
        f"descriptors {_open_descriptors()}",
        f"interrupt ignored {signal.getsignal(signal.SIGINT) == signal.SIG_IGN}",
    ]
    Path(payload.decode()).write_text("\n".join(lines))


def _open_descriptors() -> list[int]:
    listed = sorted(int(path.name) for path in Path("/proc/self/fd").iterdir())
    return [number for number in listed if Path(f"/proc/self/fd/{number}").exists()]


def _orphan(payload: bytes, _descriptor: int | None) -> None:
    """Leave a grandchild in a session of its own, and crash."""
    if os.fork() == 0:
        os.setsid()
        path = Path(payload.decode())
        path.with_suffix(".new").write_text(str(os.getpid()))
        path.with_suffix(".new").rename(path)
        signal.pause()
    wait_for("the orphan", Path(payload.decode()).exists)
    os.kill(os.getpid(), signal.SIGKILL)


def _descriptor(payload: bytes, descriptor: int | None) -> None:
    assert descriptor is not None
    os.write(descriptor, payload)


class Server:
    def __init__(self) -> None:
        self.children = Children.start(_roles)
        self._reader = threading.Thread(target=self.children.read_events)
        self._reader.start()

    def close(self) -> None:
        self.children.close()
        self._reader.join()

    def spawn(self, role: str, payload: str = "", descriptor: int | None = None) -> Child:
        self._ended = threading.Event()
        return self.children.spawn(
            role, payload.encode(), on_exit=self._ended.set, descriptor=descriptor
        )

    def end_of(self, child: Child) -> Exit:
        assert self._ended.wait(PATIENCE_S)
        assert child.exit is not None
        return child.exit


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def _pid(child: Child) -> int:
    pid: int = wait_for("the start", lambda: child.pid)
    return pid


def _children_of(server: Server) -> list[int]:
    return [process.pid for process in psutil.Process(server.children.pid).children()]


def _gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_the_end_of_a_child_is_told_with_its_usage(server: Server) -> None:
    ended = server.end_of(server.spawn("exit", "7"))
    assert ended.code == 7
    assert ended.usage.peak_rss_mb > 1
    assert server.end_of(server.spawn("signal", str(int(signal.SIGSEGV)))).code == -11


def test_a_child_that_raises_ends_with_1_and_the_server_lives(server: Server) -> None:
    assert server.end_of(server.spawn("raise")).code == 1
    assert server.end_of(server.spawn("exit", "0")).code == 0


def test_a_child_has_its_own_session_private_files_and_nothing_of_ours(
    server: Server, tmp_path: Path
) -> None:
    with (tmp_path / "secret").open("w"):
        server.end_of(server.spawn("describe", str(tmp_path / "told")))
    assert (tmp_path / "told").read_text().splitlines() == [
        "session True",
        "umask 77",
        "descriptors [0, 1, 2]",
        "interrupt ignored True",
    ]


def test_a_descriptor_goes_along(server: Server) -> None:
    reader, writer = os.pipe()
    server.end_of(server.spawn("descriptor", "hello", writer))
    assert os.read(reader, 100) == b"hello"
    os.close(reader)
    os.close(writer)


def test_ending_is_term_first(server: Server) -> None:
    child = server.spawn("wait")
    wait_for("the start", lambda: child.pid)
    child.end(PATIENCE_S)
    assert server.end_of(child).code == -signal.SIGTERM


def test_a_stopped_child_is_killed_after_the_grace_time(server: Server) -> None:
    child = server.spawn("wait")
    pid = wait_for("the start", lambda: child.pid)
    process = psutil.Process(pid)
    process.suspend()
    wait_for("the stop", lambda: process.status() == psutil.STATUS_STOPPED)
    child.end(0.1)
    assert server.end_of(child).code == -signal.SIGKILL


def test_what_a_crashed_child_leaves_is_killed_before_its_end_is_told(
    server: Server, tmp_path: Path
) -> None:
    child = server.spawn("orphan", str(tmp_path / "pid"))
    assert server.end_of(child).code == -signal.SIGKILL
    assert _gone(int((tmp_path / "pid").read_text()))


def test_closing_ends_every_child(server: Server) -> None:
    children = [server.spawn("wait") for _ in range(3)]
    pids = [_pid(child) for child in children]
    server.children.close()
    assert all(map(_gone, pids))
    wait_for("the news", lambda: all(child.exit is not None for child in children))


def test_a_dead_server_takes_its_children_along_and_is_noticed(server: Server) -> None:
    child = server.spawn("wait")
    pid = wait_for("the start", lambda: child.pid)
    os.kill(server.children.pid, signal.SIGKILL)
    assert server.end_of(child).code is None
    wait_for("the child's end", lambda: _gone(pid))
    late = server.spawn("exit", "0")
    assert server.end_of(late).error == "the fork server is gone"


def test_a_process_made_ready_is_the_one_that_does_the_work(server: Server) -> None:
    server.children.prepare("Any")
    (spare,) = wait_for("the spare", lambda: _children_of(server))
    child = server.spawn(ATTEMPT, "0")
    assert _pid(child) == spare
    assert server.end_of(child).code == 0


def test_what_a_process_is_made_ready_for_is_loaded_for_the_next_ones(
    server: Server, tmp_path: Path
) -> None:
    server.children.prepare("CopyActivity")
    server.end_of(server.spawn("loaded", str(tmp_path / "told")))
    assert (tmp_path / "told").read_text() == "CopyActivity"


def test_a_process_made_ready_that_dies_is_replaced(server: Server) -> None:
    server.children.prepare("Any")
    (spare,) = wait_for("the spare", lambda: _children_of(server))
    os.kill(spare, signal.SIGKILL)
    wait_for("its end", lambda: _gone(spare))
    assert server.end_of(server.spawn(ATTEMPT, "3")).code == 3


def test_processes_made_ready_end_with_the_server(server: Server) -> None:
    for _ in range(3):
        server.children.prepare("Any")
    spares = wait_for("the spares", lambda: len(found := _children_of(server)) == 3 and found)
    server.children.close()
    assert all(map(_gone, spares))
