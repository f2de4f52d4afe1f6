"""Control groups for real: what the fork server makes in them, ends with them, and takes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from taskrunner.agent.forks.children import Child, Children
from taskrunner.agent.forks.forkserver import Role
from taskrunner.agent.handouts.recovery import end_groups
from taskrunner.agent.ipc.attempt_roles import ATTEMPT, LOADER
from taskrunner.agent.ipc.verdicts import Exit
from taskrunner.clock import SystemClock
from taskrunner.host.cgroups import Bounds, Group, Groups, NoGroups, find_groups, own_group
from tests.integration.agent_harness import (
    PATIENCE_S,
    FakeService,
    running_agent,
    task_json,
    wait_for,
)

pytestmark = pytest.mark.xdist_group("alone")

#: Leaves its session, its parent and its group of processes.
STRAY = "setsid sh -c '(sleep 1000 & echo $! >>{file}) & sleep 1000' >/dev/null 2>&1 &"


@pytest.fixture
def groups() -> Iterator[Groups]:
    try:
        found = find_groups(f"taskrunner-test-{os.getpid()}-", Bounds())
    except NoGroups as error:
        pytest.skip(f"no control groups: {error}")
    yield found
    left = found.all()
    for group in left:
        group.end(PATIENCE_S, SystemClock())
        group.remove()
    assert not left, "every group goes with its attempt"


def _roles() -> Mapping[str, Role]:
    return {ATTEMPT: _attempt, LOADER: lambda *_: None, "other": _where}


def _attempt(payload: bytes, _descriptor: int | None) -> Callable[[], None]:
    return partial(_strays, payload)


def _strays(payload: bytes) -> None:
    """Leave processes outside of every session of ours, and end, or wait to be ended."""
    how, _, file = payload.decode().partition(" ")
    for _ in range(5):
        subprocess.run(STRAY.format(file=file), shell=True, check=True)
    wait_for("the strays", lambda: _numbers(Path(file)) and len(_numbers(Path(file))) == 5)
    group = own_group()
    assert group is not None
    Path(f"{file}.group").write_text(str(group.folder))
    if how == "wait":
        signal.pause()
    os.kill(os.getpid(), int(how))


def _where(payload: bytes, _descriptor: int | None) -> None:
    group = own_group()
    assert group is not None
    Path(payload.decode()).write_text(str(group.folder))


def _numbers(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def _alive(file: Path) -> list[int]:
    """Those of the processes that run; a zombie only waits for its parent to look."""
    return [pid for pid in _numbers(file) if _is_running(pid)]


def _is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it ends just now
        return False


class Server:
    def __init__(self, groups: Groups) -> None:
        self.children = Children.start(_roles, groups)
        self._reader = threading.Thread(target=self.children.read_events)
        self._reader.start()

    def close(self) -> None:
        self.children.close()
        self._reader.join()

    def spawn(self, role: str, payload: str) -> Child:
        self._ended = threading.Event()
        return self.children.spawn(role, payload.encode(), on_exit=self._ended.set)

    def prepare(self, payload: str) -> Child:
        self._ended = threading.Event()
        return self.children.prepare(
            ATTEMPT,
            payload.encode(),
            kind="Any",
            on_started=lambda _pid: None,
            on_exit=self._ended.set,
        )

    def end_of(self, child: Child) -> Exit:
        assert self._ended.wait(PATIENCE_S)
        assert child.exit is not None
        return child.exit


@pytest.fixture
def server(groups: Groups) -> Iterator[Server]:
    server = Server(groups)
    yield server
    server.close()


@pytest.mark.parametrize("how", ["0", "9", "11"])
def test_an_attempt_that_ends_takes_all_of_its_group_along(
    server: Server, tmp_path: Path, how: str
) -> None:
    file = tmp_path / "strays"
    ended = server.end_of(server.spawn(ATTEMPT, f"{how} {file}"))
    assert ended.code == -int(how)
    assert len(_numbers(file)) == 5
    assert not _alive(file)
    folder = Path((tmp_path / "strays.group").read_text())
    assert folder.name.startswith("taskrunner-test-")
    assert not folder.exists()
    assert ended.usage.cpu_s > 0


@pytest.mark.parametrize("by", ["the agent", "the end of the agent"])
def test_an_attempt_that_is_killed_takes_all_of_its_group_along(
    groups: Groups, tmp_path: Path, by: str
) -> None:
    server, file = Server(groups), tmp_path / "strays"
    try:
        child = server.spawn(ATTEMPT, f"wait {file}")
        wait_for("the strays", (tmp_path / "strays.group").exists)
        if by == "the agent":
            child.end(0)
            server.end_of(child)
    finally:
        server.close()
    assert not _alive(file)


def _first_of(groups: Groups) -> Group:
    """The group that was made first, once there is one; that of the next task may be there too."""
    made: list[Group] = wait_for("the group", groups.all)
    return min(made, key=lambda group: group.folder.name)


def test_a_process_made_ready_is_in_a_group_that_goes_with_it(
    groups: Groups, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "strays"
    child = server.prepare(f"0 {file}")
    made = _first_of(groups)
    child.begin()
    server.end_of(child)
    assert Path((tmp_path / "strays.group").read_text()) == made.folder
    server.prepare(f"0 {file}")
    # That of the one that waits for the next task is the second.
    wait_for("the next groups", lambda: len([*groups.all()]) == 2)
    server.close()
    assert not groups.all()


def test_the_group_of_what_is_dropped_goes_with_it(
    groups: Groups, server: Server, tmp_path: Path
) -> None:
    child = server.prepare(f"0 {tmp_path / 'strays'}")
    made = _first_of(groups)
    child.drop()
    server.end_of(child)
    assert not made.folder.exists()
    assert not (tmp_path / "strays").exists()


def test_what_is_no_attempt_stays_with_the_agent(server: Server, tmp_path: Path) -> None:
    server.end_of(server.spawn("other", str(tmp_path / "where")))
    own = own_group()
    assert own is not None
    assert (tmp_path / "where").read_text() == str(own.folder)


def test_a_group_that_cannot_be_made_is_the_attempts_end(groups: Groups, tmp_path: Path) -> None:
    gone = Groups(base=groups.base / "gone", prefix="t-")
    server = Server(gone)
    try:
        ended = server.end_of(server.spawn(ATTEMPT, f"0 {tmp_path / 'x'}"))
    finally:
        server.close()
    assert ended.code is None
    assert "No such file" in (ended.error or "")


def test_the_groups_of_an_agent_that_died_with_its_fork_server_are_ended(groups: Groups) -> None:
    group = groups.make("left-1")
    below = Group(group.folder / "made-by-the-task")
    below.folder.mkdir()
    script = "import os, pathlib, signal, sys; pathlib.Path(sys.argv[1]).write_text('0'); "
    script += "print(flush=True); signal.pause()"
    argv = [sys.executable, "-c", script, str(below.folder / "cgroup.procs")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert group.pids() == {process.pid}
        assert end_groups(groups, SystemClock()) == 1
        assert process.wait(PATIENCE_S) == -signal.SIGKILL
    assert not group.folder.exists()


def test_a_task_runs_in_a_group_and_is_counted_with_all_that_it_started(
    groups: Groups, tmp_path: Path
) -> None:
    del groups  # it skips where there are none
    service = FakeService()
    with running_agent(service, tmp_path) as agent:
        command = (
            "grep ^0:: /proc/self/cgroup; sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'"
        )
        service.tasks.put(task_json("t1", command))
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
        logs = agent.work_dir / "output" / "logs"
        (output,) = logs.rglob("StdOutput")
        (activity,) = logs.rglob("Activity.log")
        assert "/taskrunner-" in output.read_text()
        assert ", CPU time 0." in activity.read_text()
        wait_for("the log line", lambda: '"cpu_s": ' in agent.log)
    service.close()
