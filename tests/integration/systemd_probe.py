"""Runs as a unit with the agent's sandbox: what the agent will do to run a task as another user.

Prints one JSON object; an error stands in place of the value that it kept from being.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

NOBODY = 65534
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4


def become_nobody() -> None:
    ctypes.CDLL(None).prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def start_as_nobody(work: Callable[[], object], *, stay: bool = False) -> tuple[int, object]:
    """Do something in a child that has become another user: its process id, what it returned."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            become_nobody()
            answer = work()
        except OSError as error:
            answer = f"refused: {error.strerror}"
        os.write(write, json.dumps(answer).encode())
        os.close(write)
        while stay:
            signal.pause()
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        return pid, json.loads(pipe.read())


def as_nobody(work: Callable[[], object]) -> object:
    pid, answer = start_as_nobody(work)
    os.waitpid(pid, 0)
    return answer


def status_of_a_command() -> object:
    """The user, the groups and the capabilities of a program that the other user runs."""
    with os.popen("grep -E '^(Uid|Groups|CapEff|CapPrm|NoNewPrivs):' /proc/self/status") as out:
        return {k: v.split() for k, _, v in (line.partition(":") for line in out)}


def kill_one() -> object:
    """Whether the agent may end a process that runs as the other user."""
    pid, user = start_as_nobody(os.getuid, stay=True)
    if user != NOBODY:
        os.kill(pid, signal.SIGKILL)
        return user
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_group() -> object:
    """Whether the agent may make a control group, and end what is in it at once."""
    own = Path("/sys/fs/cgroup" + Path("/proc/self/cgroup").read_text().strip().partition("::")[2])
    group = own / "attempt"
    group.mkdir()
    pid = os.fork()
    if pid == 0:
        while True:
            signal.pause()
    (group / "cgroup.procs").write_text(str(pid))
    (group / "cgroup.kill").write_text("1")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def attempt(work: Callable[[], object]) -> object:
    try:
        return work()
    except OSError as error:
        return f"refused: {error.strerror}"


def readable(path: str) -> object:
    return Path(path).read_text()[:1]


print(
    json.dumps(
        {
            "command": attempt(lambda: as_nobody(status_of_a_command)),
            "secret": as_nobody(lambda: readable("/etc/taskrunner/taskrunner.toml")),
            "journal": as_nobody(lambda: list(map(str, Path("/var/lib/taskrunner").iterdir()))),
            "kill": attempt(kill_one),
            "kill_group": attempt(kill_group),
            "write_etc": attempt(lambda: Path("/etc/probe").write_text("x")),
            "mount": ctypes.CDLL(None).mount(b"none", b"/mnt", b"tmpfs", 0, None),
        }
    )
)
