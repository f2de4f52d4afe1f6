"""Control groups of version 2: where a tree of processes is held together, bounded and counted.

Whatever a process of a group starts is in the group, in a session of its own or not, and is ended
with it at once. Groups are made below the one that this process is in, where that may be written
to: as systemd's Delegate=yes lets the agent, or as root.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from taskrunner.clock import Clock

_PROC = Path("/proc")
#: Where the agent's own processes go, so that the group above may hand controllers down.
_AGENT = "agent"
#: What the names of all agents' groups begin with.
_ANY = "taskrunner-"
_CONTROLLERS = ("memory", "pids", "cpu", "io")
_CPU_PERIOD_US = 100_000
_LOOK_AGAIN_S = 0.002
_PIECE = 1 << 14


class NoGroups(Exception):
    """No groups can be made here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Limits for all processes of a group together; None: unlimited."""

    #: Bytes; swap is not used besides.
    memory: int | None = None
    cpus: float | None = None
    #: Processes and threads.
    processes: int | None = None

    def files(self) -> Iterator[tuple[str, str, str]]:
        """The controller, the file and the text of every bound."""
        if self.memory is not None:
            yield "memory", "memory.max", str(self.memory)
            yield "memory", "memory.swap.max", "0"
        if self.cpus is not None:
            yield "cpu", "cpu.max", f"{round(self.cpus * _CPU_PERIOD_US)} {_CPU_PERIOD_US}"
        if self.processes is not None:
            yield "pids", "pids.max", str(self.processes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What the processes of a group have used together; None where it is not counted."""

    cpu_s: float | None
    #: The most at any moment, in bytes.
    memory: int | None
    #: Bytes from and to disks.
    read: int | None
    written: int | None
    #: How many of its processes the out-of-memory killer ended.
    oom_kills: int | None
    #: How often it was at its bound of processes.
    forks_refused: int


class Group:
    """One group, which is a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def enter(self) -> None:
        """Move this process in."""
        _write(self.folder / "cgroup.procs", "0")

    def hold(self, bounds: Bounds, controllers: frozenset[str]) -> None:
        """Set the limits whose controllers are available here."""
        for controller, name, text in bounds.files():
            if controller in controllers:
                with suppress(FileNotFoundError):  # this kernel knows no swap
                    _write(self.folder / name, text)

    def pids(self) -> set[int]:
        """The processes in it and in groups below it."""
        return {
            int(line)
            for file in [*self.folder.rglob("cgroup.procs")]
            for line in _read(file).split()
        }

    def populated(self) -> bool:
        """Whether anything is alive in it or below it."""
        return _table(self.folder / "cgroup.events").get("populated") == 1

    def used(self) -> Used:
        """What has been used so far."""
        cpu = _table(self.folder / "cpu.stat").get("usage_usec")
        return Used(
            cpu_s=None if cpu is None else cpu / 1e6,
            memory=_number(self.folder / "memory.peak"),
            read=self._bytes("rbytes"),
            written=self._bytes("wbytes"),
            oom_kills=self.oom_kills(),
            forks_refused=_table(self.folder / "pids.events").get("max", 0),
        )

    def oom_kills(self) -> int | None:
        """How many of its processes the out-of-memory killer ended; None where nobody counts."""
        return _table(self.folder / "memory.events").get("oom_kill")

    def kill(self) -> None:
        """KILL everything in it, so that nothing can fork away meanwhile."""
        try:
            _write(self.folder / "cgroup.kill", "1")
        except FileNotFoundError:  # the group is gone, or the kernel is older than 5.14
            self._kill_frozen()

    def end(self, patience_s: float, clock: Clock) -> bool:
        """KILL everything in it and wait until it is gone; false when that took too long."""
        until, never = clock.monotonic() + patience_s, threading.Event()
        while self.populated():
            self.kill()
            if clock.monotonic() >= until:
                return False
            clock.wait(never, _LOOK_AGAIN_S)
        return True

    def remove(self) -> None:
        """Remove it and what a task has made below it; what is alive keeps it."""
        with suppress(OSError):  # there are some below it
            self.folder.rmdir()
            return
        for folder, _, _ in os.walk(self.folder, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()

    def _kill_frozen(self) -> None:
        freezer = self.folder / "cgroup.freeze"
        with suppress(OSError):
            _write(freezer, "1")
        for pid in self.pids():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with suppress(OSError):
            _write(freezer, "0")

    def _bytes(self, name: str) -> int | None:
        """Of all devices: a line is `8:0 rbytes=1 wbytes=2 rios=3 ...`."""
        file = self.folder / "io.stat"
        if not file.exists():
            return None
        pairs = (word.partition("=") for word in _read(file).split() if "=" in word)
        return sum(int(value) for key, _, value in pairs if key == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The groups that this agent makes."""

    #: The group below which they are.
    base: Path
    #: What their names begin with: other agents may be at home below the same group.
    prefix: str
    #: The controllers that count and bound in them.
    controllers: frozenset[str] = frozenset()
    bounds: Bounds = field(default_factory=Bounds)

    def make(self, name: str) -> Group:
        """A new group within the bounds that can be held here."""
        group = Group(self.base / f"{self.prefix}{name}")
        group.folder.mkdir()
        group.hold(self.bounds, self.controllers)
        return group

    def all(self) -> list[Group]:
        """Every group that an agent with this prefix has made and not removed."""
        return [Group(path) for path in sorted(self.base.glob(f"{self.prefix}*")) if path.is_dir()]

    def sweep(self, proc: Path = _PROC) -> None:
        """Remove empty groups left by agents of other work folders whose fork servers are dead.

        The last agent of a work folder that is gone has no successor to do it.
        """
        for path in self.base.glob(f"{_ANY}*-*-*"):
            server = path.name.split("-")[-2]
            if server.isdigit() and not (proc / server).exists():
                Group(path).remove()

    def own(self, proc: Path = _PROC) -> Group | None:
        """The group of ours that this process is in."""
        name = Path(_own_path(proc) or "/").name
        return Group(self.base / name) if name.startswith(self.prefix) else None


def own_group(proc: Path = _PROC) -> Group | None:
    """The group that this process is in, if it can be seen from here."""
    path = _own_path(proc)
    if path is None or "/.." in path:
        return None
    mount = _mount(proc)
    if mount is None:
        return None
    root, mounted = mount
    inside = path if root == "/" else path.removeprefix(root)
    return Group(Path(f"{mounted}/{inside.lstrip('/')}"))


@cache
def _mount(proc: Path) -> tuple[str, str] | None:
    """Which group is mounted where; for good, as far as a process is concerned."""
    for line in _read(proc / "self" / "mountinfo").splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.startswith("cgroup2 "):
            root, mounted = (_unescaped(text) for text in fields.split()[3:5])
            return root, mounted
    return None


def find_groups(prefix: str, bounds: Bounds, proc: Path = _PROC) -> Groups:
    """Make ready to make groups: called by the agent while it is one process; raises NoGroups.

    An agent that is alone in its group moves below it, since a group that holds processes can hand
    no controllers down. One that shares its group leaves everything there as it is.
    """
    own = own_group(proc)
    if own is None or not (own.folder / "cgroup.procs").exists():
        raise NoGroups("there are no control groups of version 2 here")
    for path in (own.folder, own.folder / "cgroup.procs"):
        if not os.access(path, os.W_OK):
            raise NoGroups(f"{path} is not for this agent to write to (systemd: Delegate=yes)")
    if _read(own.folder / "cgroup.procs").split() == [str(os.getpid())]:
        _settle(own.folder)
    return Groups(
        base=own.folder,
        prefix=prefix,
        controllers=frozenset(_read(own.folder / "cgroup.subtree_control").split()),
        bounds=bounds,
    )


def _settle(folder: Path) -> None:
    try:
        (folder / _AGENT).mkdir(exist_ok=True)
        Group(folder / _AGENT).enter()
    except OSError as error:
        raise NoGroups(f"{folder}: no group for the agent: {error.strerror}") from None
    for controller in _CONTROLLERS:
        with suppress(OSError):  # not handed to us
            _write(folder / "cgroup.subtree_control", f"+{controller}")


def _own_path(proc: Path) -> str | None:
    lines = _read(proc / "self" / "cgroup").splitlines()
    return next((line[3:] for line in lines if line.startswith("0::")), None)


def _unescaped(text: str) -> str:
    """A path as mountinfo has it, where a space is an octal number."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _write(file: Path, text: str) -> None:
    """To a file that is there: what the kernel does not know must not be made."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _read(file: Path) -> str:
    """A file of the kernel's; without Python's, since every attempt reads a dozen of them."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # the group has gone, or nobody counts
        return ""
    try:
        pieces = iter(lambda: os.read(descriptor, _PIECE), b"")
        return b"".join(pieces).decode(errors="replace")
    except OSError:  # it went meanwhile
        return ""
    finally:
        os.close(descriptor)


def _number(file: Path) -> int | None:
    text = _read(file).strip()
    return int(text) if text.isdigit() else None


def _table(file: Path) -> Mapping[str, int]:
    """Lines of a name and a number."""
    pairs = (line.split() for line in _read(file).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
