"""The fork server with real processes: what it starts, ends, sees and leaves behind."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from taskrunner.agent.forks.children import Child, Children
from taskrunner.agent.forks.forkserver import MakeRoles, Role
from taskrunner.agent.ipc.attempt_roles import ATTEMPT, LOADER, AttemptSettings
from taskrunner.agent.ipc.job import Job
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.ipc.verdicts import Exit
from taskrunner.agent.roles import make_roles
from tests.integration.agent_harness import PATIENCE_S, wait_for
from tests.unit.agent.fakes import make_task


def _roles() -> Mapping[str, Role]:
    return {
        ATTEMPT: _attempt,
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


def _real_roles() -> Mapping[str, Role]:
    # Those of pytest have files that no attempt keeps open.
    logging.getLogger().handlers.clear()
    return make_roles(AttemptSettings())


def _attempt(payload: bytes, _descriptor: int | None) -> Callable[[], None]:
    """Note beside `file` that it is ready, and when it may begin that it has begun; then exit."""
    code, file = payload.decode().split()
    Path(f"{file}.ready").write_text(str(os.getpid()))

    def begin() -> None:
        Path(f"{file}.begun").write_text(str(_open_descriptors()))
        os._exit(int(code))

    return begin


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
    def __init__(self, roles: MakeRoles = _roles) -> None:
        self.children = Children.start(roles)
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

    def prepare(self, code: int, file: Path, kind: str = "Any") -> Child:
        self._ended, self.begun = threading.Event(), threading.Event()
        return self.children.prepare(
            ATTEMPT,
            f"{code} {file}".encode(),
            kind=kind,
            on_started=lambda _pid: self.begun.set(),
            on_exit=self._ended.set,
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


def _ready(file: Path) -> int:
    """The process that is ready to begin, once there is one."""
    return int(
        wait_for("the process", lambda: (f := Path(f"{file}.ready")).exists() and f.read_text())
    )


def _next(server: Server, *others: int) -> int:
    """The process that waits for the next task, once there is one."""
    found: list[int] = wait_for(
        "the next process", lambda: [pid for pid in _children_of(server) if pid not in others]
    )
    return found[0]


def test_what_is_prepared_begins_when_it_is_told_to_and_not_before(
    server: Server, tmp_path: Path
) -> None:
    child = server.prepare(7, tmp_path / "a")
    pid = _ready(tmp_path / "a")
    # By the time that the next one is there, it has had the time to begin by itself.
    _next(server, pid)
    assert not (tmp_path / "a.begun").exists()
    assert not server.begun.is_set()
    child.begin()
    assert server.end_of(child).code == 7
    assert (child.pid, server.begun.is_set()) == (pid, True)
    assert (tmp_path / "a.begun").read_text() == "[0, 1, 2]"


def test_what_is_dropped_never_begins_and_ends_at_once(server: Server, tmp_path: Path) -> None:
    child = server.prepare(7, tmp_path / "a")
    pid = _ready(tmp_path / "a")
    os.kill(pid, signal.SIGSTOP)  # as one that hangs
    child.drop()
    assert server.end_of(child).code == -signal.SIGKILL
    assert _gone(pid)
    assert not (tmp_path / "a.begun").exists()


def test_after_a_task_a_process_waits_for_the_next_one_which_takes_it(
    server: Server, tmp_path: Path
) -> None:
    first = server.prepare(0, tmp_path / "a")
    spare = _next(server, _ready(tmp_path / "a"))
    first.begin()
    server.end_of(first)
    server.prepare(3, tmp_path / "b")
    assert _ready(tmp_path / "b") == spare


def test_what_is_prepared_is_loaded_for_the_next_tasks(server: Server, tmp_path: Path) -> None:
    child = server.prepare(0, tmp_path / "a", kind="CopyActivity")
    _next(server, _ready(tmp_path / "a"))
    child.begin()
    server.end_of(child)
    server.end_of(server.spawn("loaded", str(tmp_path / "told")))
    assert (tmp_path / "told").read_text() == "CopyActivity"


def test_a_waiting_process_that_dies_is_replaced(server: Server, tmp_path: Path) -> None:
    first = server.prepare(0, tmp_path / "a")
    spare = _next(server, _ready(tmp_path / "a"))
    os.kill(spare, signal.SIGKILL)
    wait_for("its end", lambda: _gone(spare))
    first.begin()
    server.end_of(first)
    second = server.prepare(3, tmp_path / "b")
    second.begin()
    assert server.end_of(second).code == 3


def test_a_prepared_process_that_dies_is_replaced_when_it_is_to_begin(
    server: Server, tmp_path: Path
) -> None:
    child = server.prepare(3, tmp_path / "a")
    pid = _ready(tmp_path / "a")
    os.kill(pid, signal.SIGKILL)
    wait_for("its end", lambda: _gone(pid))
    child.begin()
    assert server.end_of(child).code == 3
    assert child.pid != pid


def test_a_prepared_process_that_died_can_be_dropped(server: Server, tmp_path: Path) -> None:
    child = server.prepare(3, tmp_path / "a")
    pid = _ready(tmp_path / "a")
    os.kill(pid, signal.SIGKILL)
    wait_for("its end", lambda: _gone(pid))
    child.drop()
    assert server.end_of(child).code != 3
    assert not (tmp_path / "a.begun").exists()


def test_a_child_that_crashes_takes_no_waiting_process_along(
    server: Server, tmp_path: Path
) -> None:
    child = server.prepare(3, tmp_path / "a")
    pid = _ready(tmp_path / "a")
    spare = _next(server, pid)
    assert server.end_of(server.spawn("signal", str(int(signal.SIGSEGV)))).code == -11
    assert not _gone(spare)
    child.begin()
    wait_for("the end", lambda: child.exit)
    assert child.pid == pid


def test_waiting_and_prepared_processes_end_with_the_server(server: Server, tmp_path: Path) -> None:
    for name in "abc":
        server.prepare(0, tmp_path / name)
    prepared = [_ready(tmp_path / name) for name in "abc"]
    spare = _next(server, *prepared)
    server.children.close()
    assert all(map(_gone, [*prepared, spare]))


@pytest.fixture
def attempts() -> Iterator[Server]:
    """A server whose attempts are real ones."""
    server = Server(_real_roles)
    yield server
    server.close()


@pytest.mark.parametrize("earlier", [None, "of an earlier hand-out"])
def test_a_task_that_is_not_begun_runs_nothing_and_leaves_earlier_logs_alone(
    attempts: Server, tmp_path: Path, earlier: str | None
) -> None:
    task = make_task({"command": f"echo here > {tmp_path}/begun; echo told"})
    files = AttemptFiles.of(task, output=tmp_path, default_log_uri=None)
    output = files.log_dir / "StdOutput"
    if earlier is not None:
        files.log_dir.mkdir(parents=True)
        output.write_text(earlier)
    exited = threading.Event()
    job = Job(task=task, files=files, mark="mark").encode()
    child = attempts.children.prepare(
        ATTEMPT, job, kind=task.type, on_started=lambda _pid: None, on_exit=exited.set
    )
    wait_for("both processes", lambda: len(_children_of(attempts)) == 2)
    if earlier is None:
        wait_for("its logs", output.exists)
    assert not (tmp_path / "begun").exists()
    assert (output.read_text() if output.exists() else "") == (earlier or "")
    child.begin()
    assert exited.wait(PATIENCE_S)
    assert child.exit is not None
    assert child.exit.code == 0
    assert output.read_text() == "told\n"
    assert (tmp_path / "begun").exists()
