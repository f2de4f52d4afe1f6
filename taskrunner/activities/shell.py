"""ShellCommandActivity: run a command, or a script from S3, with bash."""

from __future__ import annotations

import resource
import signal
from pathlib import Path, PurePosixPath
from typing import ClassVar

from taskrunner.activities.base import Activity, Context
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.host.capped_log import copy_log, gap_of
from taskrunner.host.cgroups import own_group
from taskrunner.host.process import oom_kills, signal_name

_SHELLS = (Path("/bin/bash"), Path("/bin/sh"))
#: Exit codes of a command that was killed, or whose last program was.
_KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL}
_TAIL_BYTES = 8192
_TAIL_LINES = 3
_TAIL_CHARACTERS = 600


class ShellCommandActivity(Activity):
    """Runs `command` or the script at `scriptUri`; any exit code but 0 fails the attempt."""

    type: ClassVar[str] = "ShellCommandActivity"
    stages: ClassVar[bool] = True

    def run(self, ctx: Context) -> None:
        """Run it; raises TaskError with the end of its error output."""
        ended = run_shell(ctx)
        if ended.code != 0:
            raise ended.error()


class ShellRun:
    """How a command ended."""

    def __init__(self, code: int, error_output: str, *, oom: bool) -> None:
        self.code = code
        self.error_output = error_output
        self.oom = oom

    @property
    def signal(self) -> int | None:
        """The signal that ended it, or the last program in it (128 + n, as shells say it)."""
        if self.code < 0:
            return -self.code
        return self.code - 128 if self.code - 128 in set(signal.Signals) else None

    def error(self) -> TaskError:
        """The failed attempt's error."""
        tail = f": {self.error_output}" if self.error_output else ""
        if self.oom and self.signal == signal.SIGKILL:
            message = f"command was ended by the system's out-of-memory killer ({_peak()}){tail}"
            return TaskError(message, error_id=ErrorId.OUT_OF_MEMORY)
        if self.signal == signal.SIGXFSZ:
            message = f"command wrote a file larger than the agent's task_file_size{tail}"
            return TaskError(message, error_id=ErrorId.FILE_TOO_LARGE)
        if self.code < 0:
            name = signal_name(-self.code)
            message = f"command was killed by signal {-self.code} ({name}){tail}"
            return TaskError(message, error_id=ErrorId.KILLED_BY_SIGNAL)
        hint = f" ({signal_name(self.signal)} in the command)" if self.signal else ""
        message = f"command exited with {self.code}{hint}{tail}"
        return TaskError(message, error_id=ErrorId.COMMAND_FAILED)


def _peak() -> str:
    group = own_group()
    together = group.used().memory if group is not None else None
    if together is not None:
        return f"peak memory of the attempt {together / (1 << 20):.0f} MB"
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return f"peak memory of its largest process {largest:.0f} MB"


def run_shell(ctx: Context) -> ShellRun:
    """Run the object's command or script to its end, and copy its output to `stdout`, `stderr`."""
    script = _script(ctx)
    argv = [*_interpreter(ctx, script), str(script), *ctx.task.main.all("scriptArgument")]
    folder = ctx.files.folder("cwd")
    errors_from = _size(ctx.stderr_path)
    oom_before = oom_kills()
    code = ctx.run_command(argv, cwd=folder)
    oom = code in _KILLED and oom_kills() > oom_before
    ctx.log.info("Command exited with %d", code)
    _copy_output(ctx, failed=code != 0)
    return ShellRun(code, _tail(ctx.stderr_path, errors_from), oom=oom)


def _script(ctx: Context) -> Path:
    """The command or the downloaded script, as a file in the work folder."""
    main = ctx.task.main
    command, uri = main.get("command"), main.get("scriptUri")
    if (command is None) == (uri is None):
        found = "neither" if command is None else "both"
        message = (
            f"{main.type} {main.component_id!r} has {found} of the fields 'command' and "
            "'scriptUri', wanted one"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    if uri is not None:
        path = ctx.files.root / (PurePosixPath(uri).name or "script")
        ctx.log.info("Downloading %s", uri)
        ctx.files.download(ctx.objects, uri, path, executable=True)
    else:
        name = "".join(c for c in ctx.task.attempt_id if c.isalnum())[-100:]
        ctx.log.info("Executing command: %s", command)
        path = ctx.files.write(f"{name}_command.sh", f"{command}\n".encode(), executable=True)
    return path


def _interpreter(ctx: Context, script: Path) -> list[str]:
    """Nothing for a file with an interpreter line of its own, else bash, else sh."""
    with ctx.files.open(script) as file:
        if file.read(2) == b"#!":
            return []
    return [str(next((shell for shell in _SHELLS if shell.exists()), _SHELLS[-1]))]


def _copy_output(ctx: Context, *, failed: bool) -> None:
    targets = (("stdout", ctx.stdout_path), ("stderr", ctx.stderr_path))
    for field, path in targets:
        if uri := ctx.task.main.get(field):
            target = f"{uri}{path.name}" if uri.endswith("/") else uri
            try:
                _copy_whole(ctx, field, path, target)
            except PermanentTaskError as error:
                if not failed:
                    raise
                ctx.log.warning("%s", error)  # how the command failed says more


def _copy_whole(ctx: Context, field: str, path: Path, uri: str) -> None:
    """Others take the object for all that the command wrote: there is no half of it."""
    with ctx.objects.open_write(uri) as target:
        copy_log(path, target.write)
        # Asked last: bytes may be left out while they are being read.
        if left_out := gap_of(path).left_out:
            message = (
                f"field {field!r}: {uri} was not written, since max_log_size left out {left_out} "
                f"bytes of {path.name}; a command with so much output writes a file of its own"
            )
            raise PermanentTaskError(message, error_id=ErrorId.STORAGE_FULL)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _tail(path: Path, start: int) -> str:
    """The last lines that the command wrote, in one line."""
    with path.open("rb") as file:
        file.seek(max(start, _size(path) - _TAIL_BYTES))
        text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    tail = " | ".join(lines[-_TAIL_LINES:])
    return tail if len(tail) <= _TAIL_CHARACTERS else "..." + tail[-_TAIL_CHARACTERS:]
