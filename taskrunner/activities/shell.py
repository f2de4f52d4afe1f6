"""ShellCommandActivity: run a command, or a script from S3, with bash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

from taskrunner.activities.base import Activity, CommandResult, Context
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.host.scripts import has_windows_line_ends
from taskrunner.secret import Secret

_SHELLS = (Path("/bin/bash"), Path("/bin/sh"))
_HEAD = 4096
_WINDOWS = "the script has Windows line ends (CRLF); save it with Unix line ends (LF)"

_IN_PS = (
    "a secret stands in scriptArgument: while the command runs, every user of this host can see it "
    "in the list of processes (ps); in the field command it would stand in a file of the task's own"
)


class ShellCommandActivity(Activity):
    """Runs `command` or the script at `scriptUri`; any exit code but 0 fails the attempt."""

    type: ClassVar[str] = "ShellCommandActivity"
    stages: ClassVar[bool] = True

    def run(self, ctx: Context) -> None:
        """Run it; raises TaskError with the end of its error output."""
        result = run_shell(ctx)
        if result.exit_code != 0:
            raise result.error()


def run_shell(ctx: Context) -> CommandResult:
    """Run the object's command or script to its end, and copy its output to `stdout`, `stderr`."""
    result = run_script(ctx, _script(ctx), ctx.task.main.all("scriptArgument"))
    _copy_output(ctx, failed=result.exit_code != 0)
    return result


def run_script(
    ctx: Context, script: Path, arguments: Sequence[str], *, cwd: str = "cwd"
) -> CommandResult:
    """Run a script of the work folder to its end, in a new folder beside it."""
    with ctx.files.open(script) as file:
        head = file.read(_HEAD)
    if any(isinstance(argument, Secret) for argument in arguments):
        ctx.log.warning("%s", _IN_PS)
    argv = [*_interpreter(head), str(script), *arguments]
    result = ctx.run_command(argv, cwd=ctx.files.folder(cwd))
    ctx.log.info("Command exited with %d", result.exit_code)
    if result.exit_code != 0 and has_windows_line_ends(head):
        result = replace(result, remark=_WINDOWS)
        ctx.log.warning("%s", _WINDOWS)
    return result


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


def _interpreter(head: bytes) -> list[str]:
    """Nothing for a file with an interpreter line of its own, else bash, else sh."""
    if head.startswith(b"#!"):
        return []
    return [str(next((shell for shell in _SHELLS if shell.exists()), _SHELLS[-1]))]


def _copy_output(ctx: Context, *, failed: bool) -> None:
    targets = (("stdout", ctx.stdout_path), ("stderr", ctx.stderr_path))
    for field, path in targets:
        if uri := ctx.task.main.get(field):
            target = f"{uri}{path.name}" if uri.endswith("/") else uri
            try:
                ctx.copy_output(path, target)
            except PermanentTaskError as error:
                message = f"field {field!r}: {error}"
                if not failed:
                    raise PermanentTaskError(message, error_id=error.error_id) from error
                ctx.log.warning("%s", message)  # how the command failed says more
