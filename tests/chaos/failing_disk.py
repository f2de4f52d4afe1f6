"""Disks that fill up or fail under a running process: small file systems, and strace."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.integration.agent_harness import wait_for

_BLOCK = 4096


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of this size; without the right to mount one a skip."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(folder)],
        check=False,
        stderr=subprocess.PIPE,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(disk: Path, leave: int) -> Iterator[None]:
    """A file that leaves so many blocks while the block lasts."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        # Others take room meanwhile.
        while (blocks := os.statvfs(disk).f_bavail - leave) > 0:
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), file.tell(), blocks * _BLOCK)
                file.seek(blocks * _BLOCK, os.SEEK_CUR)
    try:
        yield
    finally:
        filler.unlink()


class Struck:
    """What strace has made fail."""

    def __init__(self, log: Path) -> None:
        self._log = log

    @property
    def times(self) -> int:
        """How many calls have failed so far."""
        return self._log.read_text().count("(INJECTED)") if self._log.exists() else 0


def needs_strace() -> None:
    """Skip where there is none, or it may not look at other processes."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")


@contextmanager
def failing(pids: Sequence[int], calls: str, error: str, every: int, log: Path) -> Iterator[Struck]:
    """While the block lasts each `every`-th of these system calls of a thread fails."""
    log.unlink(missing_ok=True)
    argv = ["strace", "-f", "-o", str(log), "-e", f"trace={calls}"]
    argv += ["-e", f"inject={calls}:error={error}:when={every}+{every}"]
    for pid in pids:
        argv += ["-p", str(pid)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as strace:
        try:
            wait_for("strace", lambda: strace.poll() is not None or _traced(pids[0], strace.pid))
            yield Struck(log)
        finally:
            strace.send_signal(signal.SIGTERM)
            strace.wait(60)


def _traced(pid: int, by: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    found = re.search(r"TracerPid:\s*(\d+)", status)
    return found is not None and int(found[1]) == by
