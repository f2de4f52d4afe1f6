"""A task that tries to get at what is not its own, and says what it got.

    python hostile_task.py FACTS

FACTS is JSON: the agent's process, its work folder and so on, which a task could find out. The
result is JSON: for every attempt by name, null when it was refused, else what came of it. Stands
alone: it is copied to where the task's user can read it.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
ATTEMPT = os.getppid() if len(sys.argv) < 3 else int(sys.argv[2])
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
PIDFD_OPEN, PIDFD_GETFD = 434, 438


class Refused(Exception):
    """It brought nothing."""


def read(path: str) -> str:
    data = Path(path).read_bytes()[:200]
    if not data:
        raise Refused
    return repr(data[:60])


def listed(path: str) -> str:
    return str(os.listdir(path)[:3])  # noqa: PTH208  stands alone


def memory(pid: int) -> str:
    first = Path(f"/proc/{pid}/maps").read_text().split("-")[0]
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
        file.seek(int(first, 16))
        return repr(file.read(16))


def written(path: str, text: str) -> str:
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, text.encode())
    os.close(descriptor)
    return f"wrote {path}"


def checked(result: int) -> str:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return f"result {result}"


def traced(pid: int) -> str:
    found = checked(LIBC.ptrace(PTRACE_ATTACH, pid, 0, 0))
    os.waitpid(pid, 0x40000000)
    LIBC.ptrace(PTRACE_DETACH, pid, 0, 0)
    return found


def descriptor_of(pid: int) -> str:
    pidfd = int(checked(LIBC.syscall(PIDFD_OPEN, pid, 0)).split()[1])
    for number in range(3, 40):
        if LIBC.syscall(PIDFD_GETFD, pidfd, number, 0) >= 0:
            return f"descriptor {number}"
    raise Refused


def connected(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(path)
        sock.sendall(b'{"op": "status"}\n')
        answer = sock.recv(100)
    if not answer:
        raise Refused
    return repr(answer[:40])


def led(path: str) -> str:
    return str(Path(path).readlink())


def signaled(pid: int) -> str:
    os.kill(pid, 0)
    return f"may signal {pid}"


def limited(pid: int) -> str:
    return str(resource.prlimit(pid, resource.RLIMIT_NOFILE))


def slowed(pid: int) -> str:
    # From where it stands: tests may run under nice.
    os.setpriority(os.PRIO_PROCESS, pid, min(os.getpriority(os.PRIO_PROCESS, pid) + 1, 19))
    return f"may slow {pid}"


def abstract_sockets(pid: int) -> str:
    """Those that belong to the agent: none is known by another sign than its inode."""
    own = {link.stat().st_ino for link in Path(f"/proc/{pid}/fd").iterdir()}
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    found = [line for line in lines if "@" in line and int(line.split()[6]) in own]
    if not found:
        raise Refused
    return found[0]


def inherited() -> str:
    found = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  stands alone
    extra = [number for number in found if number > 2 and Path(f"/proc/self/fd/{number}").exists()]
    if not extra:
        raise Refused
    return str(extra)


def secrets_in_environment() -> str:
    found = [name for name in os.environ if name.startswith(("AWS_", "TASKRUNNER_"))]
    found.remove("TASKRUNNER_ATTEMPT")
    if not found:
        raise Refused
    return str(found)


def link(path: str) -> str:
    target = f"stolen-{os.urandom(4).hex()}"
    os.link(path, target)
    return read(target)


def became(uid: int) -> str:
    os.setresuid(uid, uid, uid)
    return f"user {uid}"


def made(path: str) -> str:
    Path(path).mkdir()
    Path(path).rmdir()
    return f"made {path}"


def cgroup_folder() -> str:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    path = next(line[3:] for line in lines if line.startswith("0::"))
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    mount = next(line.split()[4] for line in mounts if " - cgroup2 " in line)
    return f"{mount}{path}"


def attempts(facts: dict[str, str]) -> Iterator[tuple[str, Callable[[], str]]]:
    agent, work, home = int(facts["agent"]), facts["work"], os.environ["HOME"]
    scratch, journal = str(Path(home).parent), f"{work}/journal"
    yield "inherited descriptors", inherited
    for name, pid in (("agent", agent), ("attempt", ATTEMPT), ("fork server", int(facts["fork"]))):
        yield f"environment of the {name}", partial(read, f"/proc/{pid}/environ")
        yield f"memory of the {name}", partial(memory, pid)
        yield f"descriptors of the {name}", partial(listed, f"/proc/{pid}/fd")
        yield f"folder of the {name}", partial(led, f"/proc/{pid}/cwd")
        yield f"trace the {name}", partial(traced, pid)
        yield f"take a descriptor of the {name}", partial(descriptor_of, pid)
        yield f"signal the {name}", partial(signaled, pid)
        yield f"limit the {name}", partial(limited, pid)
        yield f"slow the {name}", partial(slowed, pid)
    yield "abstract sockets of the agent", lambda: abstract_sockets(agent)
    yield "environment of process 1", lambda: read("/proc/1/environ")
    yield "list the work folder", lambda: listed(work)
    yield "list the journal", lambda: listed(journal)
    yield "read the journal's lock", lambda: read(f"{journal}/lock")
    yield "list the logs", lambda: listed(f"{work}/output/logs")
    yield "list other tasks", lambda: listed(f"{work}/output/tmp")
    yield "list the scratch folder", lambda: listed(scratch)
    yield "make a folder beside the tasks", lambda: made(f"{work}/output/tmp/x")
    yield "make a folder in the scratch folder", lambda: made(f"{scratch}/x")
    yield "forge the result", lambda: written(f"{scratch}/result.json.new", "{}")
    yield "configuration file", lambda: read(facts["config"])
    yield "credentials file", lambda: read(facts["credentials"])
    yield "credentials file by a link", lambda: link(facts["credentials"])
    yield "another task's file", lambda: read(facts["other_file"])
    yield "another task's environment", lambda: read(f"/proc/{facts['other_pid']}/environ")
    yield "signal another task", lambda: signaled(int(facts["other_pid"]))
    yield "control socket", lambda: connected(f"{work}/control.sock")
    yield "move into another group", lambda: written(f"{cgroup_folder()}/../cgroup.procs", "0")
    yield "kill the own group", lambda: str(os.access(f"{cgroup_folder()}/cgroup.kill", os.W_OK))
    yield "core pattern", lambda: written("/proc/sys/kernel/core_pattern", "core\n")
    yield "credentials in the environment", secrets_in_environment
    yield "become root", lambda: became(0)
    yield "become the agent", lambda: became(int(facts["agent_uid"]))


def tried(work: Callable[[], str]) -> str | None:
    try:
        got = work()
    except (OSError, Refused):
        return None
    return None if got == "False" else got


def main() -> None:
    facts = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps({name: tried(work) for name, work in attempts(facts)}))


if __name__ == "__main__":
    main()
