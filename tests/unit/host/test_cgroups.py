"""Control groups as folders: where they are found, what is written into them, what is read."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from taskrunner.host.cgroups import Bounds, Group, Groups, NoGroups, find_groups, own_group
from tests.unit.agent.fakes import FakeClock

MOUNT = "30 24 0:26 {root} {mounted} rw,relatime shared:4 - cgroup2 cgroup2 rw\n"


class Host:
    """A process's view of its groups, made of files."""

    def __init__(
        self, folder: Path, path: str = "/system.slice/t.service", root: str = "/"
    ) -> None:
        self.proc, self.tree = folder / "proc", folder / "a tree"
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self" / "cgroup").write_text(f"3:cpu:/x\n0::{path}\n")
        mounted = str(self.tree).replace(" ", "\\040")
        other = "25 24 0:22 / /sys rw shared:7 - sysfs sysfs rw\n"
        text = other + MOUNT.format(root=root, mounted=mounted)
        (self.proc / "self" / "mountinfo").write_text(text)
        self.own = self.tree / path.removeprefix(root).lstrip("/")
        self.own.mkdir(parents=True)
        (self.own / "cgroup.procs").write_text("1\n2\n")
        (self.own / "cgroup.subtree_control").write_text("cpu pids\n")


@pytest.mark.parametrize(
    ("path", "root"),
    [("/", "/"), ("/a/b.service", "/"), ("/docker/x/b", "/docker/x")],
)
def test_the_group_of_this_process_is_found_below_the_mount(
    tmp_path: Path, path: str, root: str
) -> None:
    host = Host(tmp_path, path, root)
    group = own_group(host.proc)
    assert group is not None
    assert group.folder == host.own


@pytest.mark.parametrize("lines", ["", "3:cpu:/x\n", "0::/../other\n"])
def test_what_cannot_be_seen_is_no_group(tmp_path: Path, lines: str) -> None:
    host = Host(tmp_path)
    (host.proc / "self" / "cgroup").write_text(lines)
    assert own_group(host.proc) is None
    with pytest.raises(NoGroups, match="no control groups of version 2"):
        find_groups("t-", Bounds(), host.proc)


def test_an_agent_that_shares_its_group_changes_nothing_in_it(tmp_path: Path) -> None:
    host = Host(tmp_path)
    groups = find_groups("t-", Bounds(), host.proc)
    assert groups.base == host.own
    assert groups.controllers == {"cpu", "pids"}
    assert sorted(path.name for path in host.own.iterdir()) == [
        "cgroup.procs",
        "cgroup.subtree_control",
    ]


def test_an_agent_that_is_alone_moves_below_and_asks_for_controllers(tmp_path: Path) -> None:
    host = Host(tmp_path)
    (host.own / "cgroup.procs").write_text(f"{os.getpid()}\n")
    (host.own / "agent").mkdir()  # of the run before
    (host.own / "agent" / "cgroup.procs").write_text("\n\n")
    find_groups("t-", Bounds(), host.proc)
    assert (host.own / "agent" / "cgroup.procs").read_text() == "0\n"
    assert (host.own / "cgroup.subtree_control").read_text().startswith("+io")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_group_that_is_not_delegated_is_left_alone(tmp_path: Path) -> None:
    host = Host(tmp_path)
    (host.own / "cgroup.procs").chmod(0o400)
    with pytest.raises(NoGroups, match="Delegate=yes"):
        find_groups("t-", Bounds(), host.proc)


def test_only_bounds_whose_controller_is_there_are_set(tmp_path: Path) -> None:
    bounds = Bounds(memory=1 << 20, cpus=1.5, processes=7)
    for name in ("memory.max", "cpu.max", "pids.max"):  # no memory.swap.max: no swap
        (tmp_path / name).write_text("max\n")
    Group(tmp_path).hold(bounds, frozenset({"cpu", "memory"}))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "memory.max": "1048576",
        "cpu.max": "150000 100000",
        "pids.max": "max\n",
    }


def test_groups_of_this_agent_are_known_by_their_prefix(tmp_path: Path) -> None:
    groups = Groups(base=tmp_path, prefix="t-")
    mine = groups.make("1")
    (tmp_path / "other-2").mkdir()
    assert [group.folder for group in groups.all()] == [mine.folder]
    (tmp_path / "self").mkdir()
    own = tmp_path / "self" / "cgroup"
    own.write_text("0::/x/t-1\n")
    found = groups.own(tmp_path)
    assert found is not None
    assert found.folder == mine.folder
    own.write_text("0::/x/agent\n")
    assert groups.own(tmp_path) is None


def test_empty_groups_of_servers_that_are_gone_are_swept(tmp_path: Path) -> None:
    (tmp_path / "proc" / "12").mkdir(parents=True)
    names = ("taskrunner-aa-11-1", "taskrunner-aa-12-1", "taskrunner-bb-11-7", "others-11-1")
    for name in names:
        (tmp_path / name / "below").mkdir(parents=True)
    (tmp_path / "taskrunner-bb-11-7" / "alive").touch()  # keeps the folder, as processes do
    Groups(base=tmp_path, prefix="taskrunner-cc-").sweep(tmp_path / "proc")
    left = sorted(path.name for path in tmp_path.iterdir() if path.name != "proc")
    assert left == ["others-11-1", "taskrunner-aa-12-1", "taskrunner-bb-11-7"]


def test_what_a_group_has_used_is_read_from_all_its_files(tmp_path: Path) -> None:
    assert Group(tmp_path).used().memory is None
    assert Group(tmp_path).used().cpu_s is None
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (tmp_path / "memory.peak").write_text("4096\n")
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    (tmp_path / "io.stat").write_text("8:0 rbytes=1 wbytes=2 rios=3\n8:16 rbytes=10 wbytes=20\n")
    (tmp_path / "pids.events").write_text("max 4\n")
    used = Group(tmp_path).used()
    assert (used.cpu_s, used.memory, used.read, used.written) == (2.5, 4096, 11, 22)
    assert (used.oom_kills, used.forks_refused) == (2, 4)


def test_an_old_kernel_kills_what_it_has_frozen(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    processes = [subprocess.Popen(["sleep", "1000"]) for _ in range(2)]
    try:
        for folder, process in zip((tmp_path, tmp_path / "below"), processes, strict=True):
            (folder / "cgroup.procs").write_text(f"{process.pid}\n")
        (tmp_path / "cgroup.freeze").write_text("0")
        Group(tmp_path).kill()
        assert [process.wait(30) for process in processes] == [-signal.SIGKILL] * 2
        assert (tmp_path / "cgroup.freeze").read_text() == "0"
        assert not (tmp_path / "cgroup.kill").exists()
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_group_that_does_not_empty_is_given_up_in_time(tmp_path: Path) -> None:
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    (tmp_path / "cgroup.kill").touch()
    clock = FakeClock()
    assert not Group(tmp_path).end(1.0, clock)
    assert 1 <= clock.elapsed < 1.1
    clock.meanwhile = lambda: _empty(tmp_path)
    assert Group(tmp_path).end(1.0, clock)


def _empty(folder: Path) -> None:
    (folder / "cgroup.events").write_text("populated 0\n")
