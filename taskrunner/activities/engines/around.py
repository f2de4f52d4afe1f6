"""What runs before and after the work of EMR's activities.

On AWS that is on the master node, where its Task Runner is: here on the agent's host, and where the
work is done by a cluster's steps, as steps before and after them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from taskrunner.activities.base import CommandResult, Context
from taskrunner.activities.engines.base import Call, Engine
from taskrunner.activities.engines.files import s3_uri
from taskrunner.activities.shell import run_script
from taskrunner.errors import ErrorId, PathNotAllowed, PermanentTaskError, TaskError
from taskrunner.model.steps.reader import COMMAND_RUNNER
from taskrunner.model.steps.works import Pairs, RunCommand, Step
from taskrunner.secret import Secret

#: Runs the script at $0 on a node of a cluster, each of which has the AWS CLI.
_FETCH = 'f=$(mktemp) && aws s3 cp "$0" "$f" && chmod +x "$f" && "$f" "$@"'

#: Fields whose texts become the arguments of programs.
_ON_COMMAND_LINES = ("step", "argument", "scriptVariable")
_IN_PS = (
    "while the work runs, every user of the host can see it in the list of processes (ps), and who "
    "may describe the steps of a cluster can see it there"
)


def warn(ctx: Context) -> None:
    """Tell the log of secrets that others can see."""
    main = ctx.task.main
    for field in _ON_COMMAND_LINES:
        if any(isinstance(text, Secret) for text in main.all(field)):
            ctx.log.warning("A secret stands in %s: %s", field, _IN_PS)


def run_commands(ctx: Context, field: str, engine: Engine) -> None:
    """Run the shell commands of a field, in order; raises TaskError for the first that fails."""
    commands = ctx.task.main.all(field)
    for number, command in enumerate(commands, 1):
        ctx.check_canceled()
        ctx.log.info("Executing %s %d of %d: %s", field, number, len(commands), command)
        which = f" {number} of {len(commands)}" if len(commands) > 1 else ""
        with _told_of(f"{field}{which}"):
            if engine.is_remote:
                _run_there(engine, ("bash", "-c", command))
                continue
            name = f"{field}{number}"
            path = ctx.files.write(f"{name}/command.sh", f"{command}\n".encode(), executable=True)
            _check(run_script(ctx, path, (), cwd=f"{name}/cwd"))


def run_config(ctx: Context, field: str, engine: Engine) -> None:
    """Run the script of a ShellScriptConfig, if the field names one; raises TaskError."""
    config = ctx.task.main.one(field)
    if config is None:
        return
    named = config.required("scriptUri")
    uri, arguments = s3_uri(named) or named, config.all("scriptArgument")
    ctx.check_canceled()
    ctx.log.info("Executing %s %s: %s", field, config.component_id, uri)
    with _told_of(f"{field} (ShellScriptConfig {config.component_id!r})"):
        if engine.is_remote:
            _run_there(engine, ("bash", "-c", _FETCH, uri, *arguments))
            return
        path = ctx.files.root / field / (PurePosixPath(uri).name or "script")
        ctx.files.download(ctx.objects, uri, path, executable=True)
        _check(run_script(ctx, path, arguments, cwd=f"{field}/cwd"))


def _run_there(engine: Engine, argv: tuple[str, ...]) -> None:
    work = RunCommand(argv=argv)
    engine.run(Call(step=Step(jar=COMMAND_RUNNER, arguments=argv, work=work)))


def _check(result: CommandResult) -> None:
    if result.exit_code != 0:
        raise result.error()


@contextmanager
def _told_of(what: str) -> Iterator[None]:
    try:
        yield
    except PathNotAllowed:
        raise
    except TaskError as error:
        raise TaskError(f"{what}: {error}", error_id=error.error_id) from error


def check_config(ctx: Context) -> None:
    """Raise PermanentTaskError, before anything runs, for a ShellScriptConfig without a script."""
    for field in ("preActivityTaskConfig", "postActivityTaskConfig"):
        if (config := ctx.task.main.one(field)) is not None:
            config.required("scriptUri")


def variables(ctx: Context, field: str = "scriptVariable") -> Pairs:
    """NAME=value of a field; raises PermanentTaskError."""
    main = ctx.task.main
    found = []
    for text in main.all(field):
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            message = (
                f"{main.type} {main.component_id!r}, field {field!r}: "
                f"found {text!r}, wanted NAME=value"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        found.append((name.strip(), value))
    return tuple(found)
