"""What contexts do with commands, in the agent and in the testing kit alike."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

from taskrunner.activities.base import CommandResult
from taskrunner.data.objects.base import ObjectStore
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.host.capped_log import copy_log, gap_of
from taskrunner.host.cgroups import own_group
from taskrunner.host.process import Command, oom_kills

#: Exit codes of a command that was killed, or whose last program was.
_KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL}
_TAIL_BYTES = 8192
_TAIL_LINES = 3
_TAIL_CHARACTERS = 600


def run_to_end(command: Command, *, stderr: Path) -> CommandResult:
    """Run a command, and see how it ended; `stderr` is the log of its error output."""
    errors_from = _size(stderr)
    oom_before = oom_kills()
    code = command.run()
    group = own_group()
    return CommandResult(
        exit_code=code,
        out_of_memory=code in _KILLED and oom_kills() > oom_before,
        stderr_tail=_tail(stderr, errors_from),
        peak_memory=group.used().memory if group is not None else None,
        largest_process=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10,
    )


def copy_output(objects: ObjectStore, path: Path, uri: str) -> None:
    """Copy a log into an object. Others take it for all that was written: there is no half of it.

    Raises PermanentTaskError when `max_log_size` left some of it out.
    """
    with objects.open_write(uri) as target:
        copy_log(path, target.write)
        # Asked last: bytes may be left out while they are being read.
        if left_out := gap_of(path).left_out:
            message = (
                f"{uri} was not written, since max_log_size left out {left_out} bytes of "
                f"{path.name}; a command with so much output writes a file of its own"
            )
            raise PermanentTaskError(message, error_id=ErrorId.STORAGE_FULL)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _tail(path: Path, start: int) -> str:
    """The last lines that a command wrote, in one line."""
    size = _size(path)
    if size < start:
        start = 0  # the command began its log anew
    with path.open("rb") as file:
        file.seek(max(start, size - _TAIL_BYTES))
        text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    tail = " | ".join(lines[-_TAIL_LINES:])
    return tail if len(tail) <= _TAIL_CHARACTERS else "..." + tail[-_TAIL_CHARACTERS:]
