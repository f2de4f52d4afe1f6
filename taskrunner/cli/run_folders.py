"""The folders of runs on this machine: one each, made here, and the oldest removed again."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from taskrunner.clock import Clock
from taskrunner.errors import UsageError

#: Held locked by the run that the folder is of; shows besides that it was made here.
LOCK_NAME = "run.lock"
_SIGNATURE = b"taskrunner run\n"
_OURS = re.compile(r"\d{8}-\d{6}-.*-[a-z0-9_]{8}", re.DOTALL)
#: So many characters of the definition's name stand in the folder's.
_LONGEST_STEM = 80


class RunFolder:
    """The folder of one run, in use until it is released."""

    def __init__(self, runs: Path, name: str, clock: Clock) -> None:
        """Make it below `runs`. Raises OSError."""
        runs.mkdir(parents=True, exist_ok=True)
        stamp = clock.now().astimezone().strftime("%Y%m%d-%H%M%S")
        prefix = f"{stamp}-{name[:_LONGEST_STEM]}-"
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=runs))
        # Not inherited by agents: the run itself uses the folder, and dies with its use.
        self._lock = os.open(self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.write(self._lock, _SIGNATURE)

    def release(self) -> None:
        """Say that the run is over: from now on the folder may be removed."""
        os.close(self._lock)


@contextmanager
def looked_at(folder: Path) -> Iterator[None]:
    """Keep the folder of a run that is over from being removed. Raises UsageError."""
    path = _lock_of(folder)
    try:
        is_ours = path.read_bytes() == _SIGNATURE
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        is_ours = False
    if not is_ours:
        raise UsageError(f"{folder}: wanted the folder of a run of `taskrunner run`")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UsageError(
            f"{folder}: the run is still under way; `taskrunner run --ui` shows one as it goes"
        ) from None
    finally:
        os.close(descriptor)


def newest_run(runs: Path) -> Path | None:
    """The folder of the run that was begun last, if there is one."""
    return max(_made_here(runs), key=_age, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRuns:
    """What is kept of earlier runs, the one under way included."""

    count: int
    bytes: int


def remove_old_runs(runs: Path, *, keep: int) -> int:
    """Remove the oldest runs beyond the newest `keep`; returns how many were removed.

    What was not made here stays, as does a run under way and what cannot be removed.
    """
    found = sorted(_made_here(runs), key=_age, reverse=True)
    return sum(_removed(folder) for folder in found[keep:])


def kept_runs(runs: Path) -> KeptRuns:
    """How many runs there are, and what they take on the disk."""
    found = list(_made_here(runs))
    return KeptRuns(count=len(found), bytes=sum(map(_size, found)))


def _made_here(runs: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(runs) as entries:
        for entry in entries:
            folder = Path(entry.path)
            if entry.is_dir(follow_symlinks=False) and _OURS.fullmatch(entry.name):
                with suppress(OSError):
                    if _lock_of(folder).read_bytes() == _SIGNATURE:
                        yield folder


def _lock_of(folder: Path) -> Path:
    return folder / LOCK_NAME


def _age(folder: Path) -> tuple[int, str]:
    """By when it was made; names are local time, which may go back."""
    with suppress(OSError):
        return _lock_of(folder).stat().st_mtime_ns, folder.name
    return 0, folder.name


def _removed(folder: Path) -> bool:
    with suppress(OSError), _held(folder):
        with os.scandir(folder) as entries:
            found = list(entries)
        for entry in found:
            if entry.name == LOCK_NAME:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                Path(entry.path).unlink()
        # Last: as long as it is there, the next run goes on with what this one did not finish.
        _lock_of(folder).unlink()
        folder.rmdir()
        return True
    return False


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Raises OSError when the folder's run, or another removal, is under way."""
    descriptor = os.open(_lock_of(folder), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _size(folder: Path) -> int:
    """What the files below a folder take; holes take nothing, links are not followed."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512  # noqa: PTH118
    return total
