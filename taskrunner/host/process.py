"""Commands and process trees: the only module that starts a program or ends one.

A command gets a session of its own, so that one signal reaches all of it. What leaves the group
(setsid, double fork) stays a descendant of the attempt's process, which the kernel makes the
adopter of orphans, and is found by walking the tree.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Protocol

from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.host.cgroups import own_group
from taskrunner.host.scripts import runnable, why_not_run
from taskrunner.host.users import User

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CHUNK = 1 << 16
_QUICK_S = 10.0
#: Each has a line `oom_kill N`, which is never the first.
_OOM_COUNTERS = (
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
    "/proc/vmstat",
)
_COUNTERS_BYTES = 1 << 14
_libc = ctypes.CDLL(None, use_errno=True)


class Filter(Protocol):
    """Changes a stream of bytes on its way into a file."""

    def feed(self, data: bytes) -> bytes:
        """What may be written now; the filter may hold some bytes back."""
        ...

    def flush(self) -> bytes:
        """What was held back."""
        ...


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that forked it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def become_subreaper() -> None:
    """Make orphans among this process's descendants its own children, instead of init's."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def give_up_inherited_capabilities() -> None:
    """Keep the capabilities that the unit gives the agent from the programs run from here on."""
    with suppress(OSError):  # a kernel without ambient capabilities has none to inherit
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)


def raise_descriptor_limit() -> None:
    """Let this process have as many open files as it may ask for.

    Not for what runs others' programs: those that use select() break with more than 1024.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # more than the kernel gives by now
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def signal_name(number: int) -> str:
    """SIGKILL for 9; the bare number where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def complaint_of(argv: Sequence[str], text: str = "") -> str:
    """Run a quick system program; returns its error output, empty when it succeeded."""
    try:
        done = subprocess.run(  # noqa: S603  the caller's own words
            argv, input=text, capture_output=True, text=True, check=False, timeout=_QUICK_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else ""


def oom_kills() -> int:
    """How often the kernel's out-of-memory killer has struck here; only differences count.

    Here is this process's control group, where memory is counted in it, else the whole host.
    """
    group = own_group()
    killed = group.oom_kills() if group is not None else None
    if killed is not None:
        return killed
    return sum(map(_oom_kills_in, _OOM_COUNTERS))


def _oom_kills_in(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        text = os.read(descriptor, _COUNTERS_BYTES)
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    number = text.partition(b"\noom_kill ")[2].partition(b"\n")[0]
    return int(number) if number.isdigit() else 0


def end_group(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """TERM a command's group, and KILL what is left of it after the grace time."""
    _signal_group(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(grace_s)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAs:
    """The other user that a command runs as."""

    user: User
    #: How many processes the user may then have, whoever started them; None: any number.
    most_processes: int | None = None


class Command:
    """One command: own session, output appended to files, ended as a whole group."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdout: Path,
        stderr: Path,
        output_filter: Callable[[Path], Filter] | None = None,
        grace_s: float = 5.0,
        run_as: RunAs | None = None,
    ) -> None:
        """Without `run_as` it runs as the user of this process."""
        self._argv = list(argv)
        self._env = dict(env)
        self._cwd = cwd
        self._paths = (stdout, stderr)
        self._filter = output_filter
        self._grace_s = grace_s
        self._run_as = run_as

    def run(self) -> int:
        """Run to the end; returns the exit code, or minus the signal's number.

        Raises TaskError when it cannot be started. Whatever else is raised meanwhile (a
        cancellation above all) ends the group first.
        """
        with ExitStack() as stack:
            files = [stack.enter_context(path.open("ab")) for path in self._paths]
            process = self._start(files)
            pumps: list[threading.Thread] = []
            try:
                pumps += self._start_pumps(process, files)
                code = process.wait()
            except BaseException:
                end_group(process, self._grace_s)
                raise
            finally:
                self._join(process, pumps)
        return code

    def _start(self, files: Sequence[IO[bytes]]) -> subprocess.Popen[bytes]:
        outputs = files if self._filter is None else (subprocess.PIPE, subprocess.PIPE)
        run_as = self._run_as
        user = run_as.user if run_as is not None else None
        bounded = run_as is not None and run_as.most_processes is not None
        # The folder is entered, pipes are made and scripts looked at with the user's own rights.
        with user.assumed() if user is not None else nullcontext():
            argv = runnable(self._argv, self._cwd)
            try:
                return subprocess.Popen(  # noqa: S603  the command is the task's own
                    argv,
                    env=self._env,
                    cwd=self._cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=outputs[0],
                    stderr=outputs[1],
                    start_new_session=True,
                    user=None if user is None else user.uid,
                    group=None if user is None else user.gid,
                    preexec_fn=self._bound if bounded else None,  # noqa: PLW1509
                )
            except ValueError as error:
                message = f"cannot run {self._argv[0]!r}: {error}"
                raise PermanentTaskError(message, error_id=ErrorId.COMMAND_FAILED) from error
            except OSError as error:
                reason = str(error)
                if error.filename == argv[0]:  # and not the working folder
                    reason = why_not_run(self._argv[0], self._cwd, error)
                message = f"cannot run {self._argv[0]!r}: {reason}"
                raise TaskError(message, error_id=ErrorId.COMMAND_FAILED) from error

    def _bound(self) -> None:
        """In the command's process, where no control group bounds it."""
        if self._run_as is not None and (most := self._run_as.most_processes) is not None:
            resource.setrlimit(resource.RLIMIT_NPROC, (most, most))

    def _start_pumps(
        self, process: subprocess.Popen[bytes], files: Sequence[IO[bytes]]
    ) -> list[threading.Thread]:
        if self._filter is None:
            return []
        pumps = []
        sources = (process.stdout, process.stderr)
        for source, target, path in zip(sources, files, self._paths, strict=True):
            assert source is not None  # noqa: S101  both are pipes
            arguments = (partial(os.read, source.fileno()), target, self._filter(path))
            pumps.append(threading.Thread(target=pump, args=arguments, daemon=True, name="output"))
            pumps[-1].start()
        return pumps

    def _join(self, process: subprocess.Popen[bytes], pumps: Sequence[threading.Thread]) -> None:
        """Wait for the last output; what the command left running may not hold it open."""
        for pump in pumps:
            pump.join(self._grace_s)
        if any(pump.is_alive() for pump in pumps):
            from taskrunner.host.process_tree import kill_descendants

            # Not its group: the leader was reaped, so that number may be another's by now.
            kill_descendants()
        for pump in pumps:
            pump.join()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def pump(read: Callable[[int], bytes], target: IO[bytes], output_filter: Filter) -> None:
    """Copy a stream to its end; what the disk has no room for is dropped, so nobody blocks."""
    while data := read(_CHUNK):
        _write(target.fileno(), output_filter.feed(data))
    _write(target.fileno(), output_filter.flush())


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    with suppress(OSError):
        while rest:
            rest = rest[os.write(descriptor, rest) :]
