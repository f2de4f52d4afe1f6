"""What runs before and after the work of EMR's activities, on the agent's host.

On EMR that is the master node, where AWS's Task Runner is.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from taskrunner.activities.base import Context
from taskrunner.activities.engines.files import s3_uri
from taskrunner.activities.shell import run_script
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.steps.works import Pairs

#: Fields that change a cluster of AWS's.
_OF_CLUSTERS = ("resizeClusterBeforeRunning", "resizeClusterMaxInstances")


def warn_of_ignored(ctx: Context) -> None:
    """Tell the log of fields that are set and have no effect here."""
    main = ctx.task.main
    for field in _OF_CLUSTERS:
        value = main.get(field)
        if value is not None and value.strip().lower() != "false":
            ctx.log.warning("The field %r has no effect: no cluster is resized", field)


def run_commands(ctx: Context, field: str) -> None:
    """Run the shell commands of a field, in order; raises TaskError for the first that fails."""
    commands = ctx.task.main.all(field)
    for number, command in enumerate(commands, 1):
        ctx.check_canceled()
        ctx.log.info("Executing %s %d of %d: %s", field, number, len(commands), command)
        name = f"{field}{number}"
        path = ctx.files.write(f"{name}/command.sh", f"{command}\n".encode(), executable=True)
        result = run_script(ctx, path, (), cwd=f"{name}/cwd")
        if result.exit_code != 0:
            error = result.error()
            which = f" {number} of {len(commands)}" if len(commands) > 1 else ""
            raise TaskError(f"{field}{which}: {error}", error_id=error.error_id)


def run_config(ctx: Context, field: str) -> None:
    """Run the script of a ShellScriptConfig, if the field names one; raises TaskError."""
    main = ctx.task.main
    config = main.one(field)
    if config is None:
        return
    uri = config.required("scriptUri")
    ctx.check_canceled()
    ctx.log.info("Executing %s %s: %s", field, config.component_id, uri)
    path = ctx.files.root / field / (PurePosixPath(uri).name or "script")
    ctx.files.download(ctx.objects, s3_uri(uri) or uri, path, executable=True)
    result = run_script(ctx, path, config.all("scriptArgument"), cwd=f"{field}/cwd")
    if result.exit_code != 0:
        error = result.error()
        message = f"{field} (ShellScriptConfig {config.component_id!r}): {error}"
        raise TaskError(message, error_id=error.error_id)


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
