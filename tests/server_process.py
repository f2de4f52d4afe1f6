"""One server process under test: its user, its folder, its port, its start and its end."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_S = 60.0
_STOP_S = 15.0
_PAUSE_S = 0.05
_PORT_TRIES = 3
_PR_SET_PDEATHSIG = 1


class ServerMissing(Exception):
    """A server's programs are not installed; the message names the package that has them."""


class StartFailed(Exception):
    """A server ended or stayed silent while it was starting; the message holds its log's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user that a server runs as: database servers refuse to run as root."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def unprivileged(cls, *names: str) -> Account:
        """The first of these users that exists when we are root; ourselves otherwise."""
        if os.geteuid() != 0:
            return cls()
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        found = next((known[name] for name in (*names, "nobody") if name in known), None)
        if found is None:
            raise ServerMissing(f"no unprivileged user among {', '.join((*names, 'nobody'))}")
        return cls(uid=found.pw_uid, gid=found.pw_gid)

    def own(self, path: Path) -> None:
        """Give a file or folder to this user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


@contextmanager
def temporary_folder(name: str, account: Account) -> Iterator[Path]:
    # Not pytest's tmp_path: that one is closed to other users, and too long for a socket's path.
    folder = Path(tempfile.mkdtemp(prefix=f"taskrunner-{name}-"))
    account.own(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(
    command: Callable[[int], list[str]],
    prepare: Callable[[int], None],
    folder: Path,
    account: Account,
    *,
    stop: signal.Signals,
    abandoned: signal.Signals | None = None,
) -> Iterator[int]:
    """Run a server until the block ends; yields its port once `prepare(port)` has succeeded.

    `abandoned` is what the kernel sends it when this process dies, if that is not `stop`.
    """
    for last_try in (*[False] * (_PORT_TRIES - 1), True):
        port = free_port()
        process = start_process(command(port), folder, account, abandoned or stop)
        try:
            await_answer(process, lambda port=port: prepare(port), folder)  # type: ignore[misc]
        except StartFailed:
            # Somebody may have taken the port in between; a real defect shows on every try.
            stop_process(process, stop)
            if last_try:
                raise
            continue
        except BaseException:
            stop_process(process, stop)
            raise
        break
    try:
        yield port
    finally:
        stop_process(process, stop)


def free_port() -> int:
    """A port that nobody has at this moment."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_process(
    argv: Sequence[str], folder: Path, account: Account, abandoned: signal.Signals
) -> subprocess.Popen[bytes]:
    """Start a server that is sent `abandoned` when the thread ends that started it."""
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=_environment(folder),
            user=account.uid,
            group=account.gid,
            extra_groups=None if account.uid is None else [],
            # Out of the terminal's reach: Ctrl-C is for the tests, which then stop the server.
            start_new_session=True,
            preexec_fn=lambda: _die_with_parent(abandoned),  # noqa: PLW1509
        )


_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent(number: signal.Signals) -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def await_answer(
    process: subprocess.Popen[bytes], prepare: Callable[[], object], folder: Path
) -> None:
    """Try `prepare` until it succeeds; raises StartFailed when the server ends or time is up."""
    import psycopg  # only here: every run of tests imports this module
    import pymysql

    problem: Exception | None = None
    for _ in range(int(_START_S / _PAUSE_S)):
        try:
            prepare()
        except (OSError, psycopg.OperationalError, pymysql.err.OperationalError) as error:
            problem = error
        else:
            return
        try:
            process.wait(_PAUSE_S)
        except subprocess.TimeoutExpired:
            continue
        raise StartFailed(f"{process.args!r} ended with {process.returncode}: {_tail(folder)}")
    raise StartFailed(f"{process.args!r} gave no answer: {problem}: {_tail(folder)}")


def stop_process(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    """Have it end by its stop signal, or by SIGKILL with all of its session."""
    try:
        process.send_signal(stop)
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP_S)


def run(argv: Sequence[str], folder: Path, account: Account) -> None:
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=_environment(folder),
        user=account.uid,
        group=account.gid,
        extra_groups=None if account.uid is None else [],
        check=False,
    )
    if done.returncode != 0:
        output = done.stdout.decode(errors="replace")[-2000:]
        raise StartFailed(f"{argv[0]} ended with {done.returncode}: {output}")


def _environment(folder: Path) -> dict[str, str]:
    # What a server leaves in its temporary folder goes away with it.
    return {**os.environ, "TMPDIR": str(folder)}


def _tail(folder: Path) -> str:
    return (folder / "log").read_bytes()[-2000:].decode(errors="replace")
