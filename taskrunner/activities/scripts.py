"""What HiveActivity and PigActivity have in common: a script, staged and run."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from taskrunner.activities.base import Context
from taskrunner.activities.dynamodb import Connect
from taskrunner.activities.engines.around import check_config, run_config, warn
from taskrunner.activities.engines.elsewhere import Elsewhere
from taskrunner.activities.engines.files import s3_uri
from taskrunner.activities.engines.steps import Steps
from taskrunner.activities.engines.tables import Stage, Staged, used_nodes
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.steps.reader import COMMAND_RUNNER
from taskrunner.model.steps.works import RunHive, RunPig, Step
from taskrunner.model.task import TaskObject

_MAX_SCRIPT = 16 << 20
_PIECE = 1 << 20


def script_of(ctx: Context, field: str) -> tuple[str | None, str]:
    """The URI of the script, if it has one, and its text; raises PermanentTaskError."""
    main = ctx.task.main
    text, uri = main.get(field), main.get("scriptUri")
    if (text is None) == (uri is None):
        found = "neither" if text is None else "both"
        raise invalid(main, f"it has {found} of the fields {field!r} and 'scriptUri', wanted one")
    if uri is None:
        return None, text or ""
    with ctx.objects.open_read(s3_uri(uri) or uri) as reader:
        pieces = iter(lambda: reader.read(_PIECE), b"")
        data = b"".join(islice(pieces, _MAX_SCRIPT // _PIECE + 1))
    if len(data) > _MAX_SCRIPT:
        raise invalid(main, f"the script {uri} is larger than {_MAX_SCRIPT >> 20} MiB")
    try:
        return uri, data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid(main, f"the script {uri} is not UTF-8 text: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script with its tables, and the data nodes of these that are not on S3."""

    staged: Staged
    elsewhere: Elsewhere | None = None


def staged(
    ctx: Context, text: str, stage: Stage, *, pig: bool = False, connect: Connect | None = None
) -> Script:
    """The script with its tables, unless `stage` says that it has none; staging is the default.

    Raises TaskError.
    """
    if not ctx.task.main.flag("stage", default=True):
        return Script(staged=Staged(text=text))
    elsewhere = Elsewhere(ctx, used_nodes(ctx.task, text), pig=pig, connect=connect)
    return Script(staged=stage(ctx.task, text, elsewhere.stand_ins), elsewhere=elsewhere)


def run_script(
    ctx: Context, work: RunHive | RunPig, *, suffix: str, elsewhere: Elsewhere | None = None
) -> None:
    """Find who can run the script, and run it between the scripts of its ShellScriptConfigs."""
    main = ctx.task.main
    check_config(ctx)
    step = Step(jar=COMMAND_RUNNER, work=work)
    steps = Steps.prepare(ctx, [step], queue=main.get("hadoopQueue"))
    warn(ctx)
    _keep(ctx, work.text or "", suffix)
    run_config(ctx, "preActivityTaskConfig", steps.engine)
    if elsewhere is not None:
        elsewhere.before()
    steps.run()
    if elsewhere is not None:
        elsewhere.after()
    run_config(ctx, "postActivityTaskConfig", steps.engine)


def _keep(ctx: Context, text: str, suffix: str) -> None:
    """Write the script, as it is run, to where the activity wants to have it."""
    folder = ctx.task.main.get("generatedScriptsPath")
    if folder is None:
        return
    name = ctx.task.attempt_id.removeprefix("@").replace(":", "-")
    uri = f"{(s3_uri(folder) or folder).rstrip('/')}/{name}.{suffix}"
    with ctx.objects.open_write(uri) as target:
        target.write(text.encode())
    ctx.log.info("The script is at %s", uri)


def invalid(main: TaskObject, problem: str) -> PermanentTaskError:
    """The error for an object that cannot be used as it is."""
    message = f"{main.type} {main.component_id!r}: {problem}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
