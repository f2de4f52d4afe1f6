"""`taskrunner run DEFINITION`: service, agents and result in one command."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from taskrunner.cli.documents import Sources, load_document
from taskrunner.cli.inputs import moment
from taskrunner.cli.pulled import without_masks
from taskrunner.config.kinds import mapping
from taskrunner.data.settings import check_endpoint
from taskrunner.errors import ConfigError, DefinitionError, TaskrunnerError, UsageError
from taskrunner.model.document import Definition
from taskrunner.model.selection import Selection

if TYPE_CHECKING:
    from taskrunner.cli.follow import Follower
    from taskrunner.cli.local_run import LocalRun
    from taskrunner.service.resources.rules import Rules

#: A year: beyond it nobody waits, and dates end somewhere.
LONGEST_DELAY_S = 366 * 86_400

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _moment_option(*names: str, text: str) -> Callable[[_Command], _Command]:
    return click.option(*names, callback=moment, metavar="TIME", help=text)


def _finite(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    if not value <= LONGEST_DELAY_S:
        raise click.BadParameter(f"found {value}, wanted at most {LONGEST_DELAY_S} seconds")
    return value


@click.command(
    help="Run DEFINITION here and follow it to its end: the real service on a loopback port, a "
    "real agent for each worker group and resource. Exit code 0 when everything FINISHED, "
    "1 when not, 2 for wrong options, 130 after Ctrl-C.",
)
@click.argument("definition", metavar="DEFINITION")
@click.option("--param", "params", multiple=True, metavar="ID=VALUE", help="A parameter's value.")
@click.option("--parameters-file", metavar="FILE", help="Declarations of parameters, in JSON.")
@click.option("--values-file", metavar="FILE", help="Values of parameters, in JSON.")
@click.option("--resource", metavar="NAME", help="Which pipeline of a template or plan.")
@_moment_option("--at", text="Run the occurrence that starts at or contains TIME (UTC).")
@_moment_option("--from", "since", text="Run the occurrences that start at TIME or later ...")
@_moment_option("--to", "until", text="... and at TIME or before.")
@click.option("--s3-root", metavar="DIR", help="s3://b/k is DIR/b/k; a folder of the work folder.")
@click.option("--s3-endpoint", metavar="URL", help="Use the S3 API at URL in place of a folder.")
@click.option("--aws", is_flag=True, help="Use S3 and SNS as boto3 is configured.")
@click.option(
    "--database",
    "databases",
    multiple=True,
    metavar="ID=URL",
    help="Use another server for a database object, such as Db=postgresql://HOST/NAME. "
    "[$TASKRUNNER_DATABASES: a JSON object]",
)
@click.option(
    "--local-paths",
    multiple=True,
    metavar="PATH",
    help="A folder (or file) in which the definition may name local files, besides the current "
    "folder and the files that values of parameters name.",
)
@click.option(
    "--resources",
    metavar="WHERE|FILE",
    help="Where what runs on an Ec2Resource or EmrCluster goes, as for `taskrunner serve`: local "
    "(an agent of its own, the default), group=NAME (the agent of a worker group), spark=MASTER, "
    "emr-serverless=ID, or a file of rules.",
)
@click.option(
    "--work-dir",
    metavar="DIR",
    default="taskrunner-work",
    show_default=True,
    envvar="TASKRUNNER_WORK_DIR",
    help="Where the run keeps everything. [$TASKRUNNER_WORK_DIR]",
)
@click.option(
    "--retry-delay-cap",
    type=click.FloatRange(min=0),
    callback=_finite,
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="No wait between attempts is longer.",
)
@click.option(
    "--keep-runs",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="Keep the folders of so many runs, this one included, and remove older ones. 0: keep all.",
)
@click.option(
    "--tasks",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    metavar="N",
    help="Tasks that an agent runs at a time.",
)
@click.option(
    "--ui",
    is_flag=True,
    help="Show the run in the console while it goes on: says the address, and opens a browser "
    "where there is one. At a terminal the pages stay until Ctrl-C.",
)
@click.option("--logs", is_flag=True, help="Show what commands print, while they run.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="Result."
)
def command(**options: Any) -> int:
    """Compose a local run from the command line, run it, and report."""
    from taskrunner import logs
    from taskrunner.cli.local_run import LocalOptions, LocalRun
    from taskrunner.clock import SystemClock

    # At a terminal or not: what a run has to say stands in its report.
    logs.configure(level="warning", form="text")
    rules = _resources(options["resources"])
    definition = _load(options, rules)
    databases = _databases(options["databases"], definition, os.environ)
    definition = without_masks(definition, databases)
    local = LocalOptions(
        work_dir=Path(options["work_dir"]).absolute(),
        s3_root=_s3_root(options),
        s3_endpoint=options["s3_endpoint"],
        databases=databases,
        selection=_selection(options["at"], options["since"], options["until"]),
        retry_delay_cap=timedelta(seconds=options["retry_delay_cap"]),
        publish=options["aws"] or _names_sns_endpoint(os.environ),
        tasks=options["tasks"],
        local_paths=(Path.cwd(), *(Path(path).absolute() for path in options["local_paths"])),
        resources=rules,
        console=options["ui"],
    )
    run = LocalRun(definition, local, SystemClock())
    try:
        code = _run(run, options)
    finally:
        run.close()
    _stay(run, options)
    return code


def _stay(run: LocalRun, options: Mapping[str, Any]) -> None:
    """Go on showing a run that came to its end: whoever has its pages open still reads them."""
    if options["ui"] and run.server is not None and run.signal is None and sys.stdout.isatty():
        from taskrunner.cli.ui import show

        show(run.folder, run.server.again, browser=False)


def _resources(given: str | None) -> Rules:
    from taskrunner.cli.resource_rules import given_rules
    from taskrunner.service.resources.rules import Rules

    return given_rules(given) if given is not None else Rules()


def _run(run: LocalRun, options: Mapping[str, Any]) -> int:
    """Run it, report, and say what is kept; returns the exit code."""
    from taskrunner.cli.report import print_report
    from taskrunner.cli.run_document import json_report
    from taskrunner.cli.run_folders import remove_old_runs

    keep, form = options["keep_runs"], options["form"]
    removed = remove_old_runs(run.folder.parent, keep=keep) if keep else 0
    console = _console()
    follower = _follower(console, form, str(options["definition"]))
    if options["logs"]:
        from taskrunner.cli.follow_logs import LogFollower

        follower = LogFollower(follower, run.logs)
    try:
        outcome = run.run(follower)
    except KeyboardInterrupt:
        click.echo(f"taskrunner: ended at once; what there is of it is in {run.folder}", err=True)
        return 128 + (run.signal or signal.SIGINT)
    runs = _kept(run.folder.parent, keep=keep, removed=removed)
    if form == "json":
        click.echo(json_report(outcome))
        if removed:
            click.echo(runs, err=True)
    else:
        print_report(console, outcome, alarms=follower.untold(outcome.snapshot), runs=runs)
    if outcome.trouble is not None:
        raise TaskrunnerError(outcome.trouble)
    if outcome.snapshot.succeeded:
        return 0
    # As shells have it: 130 for Ctrl-C, 143 for SIGTERM.
    return 1 if outcome.interrupted is None else 128 + outcome.interrupted


def _kept(runs: Path, *, keep: int, removed: int) -> str:
    """What is kept of earlier runs."""
    from taskrunner.cli.run_folders import kept_runs

    found = kept_runs(runs)
    most = f" of at most {keep}" if keep else ""
    gone = f"; {removed} older removed" if removed else ""
    size = f"{found.bytes / 1_000_000:,.1f} MB"
    return f"Runs kept: {found.count}{most}, {size}, in {runs}{gone} (--keep-runs)"


def _load(options: Mapping[str, Any], rules: Rules) -> Definition:
    """Read and validate; prints the findings, raises UsageError or DefinitionError."""
    from taskrunner.cli.local_run import OTHERWISE
    from taskrunner.cli.places import Places
    from taskrunner.cli.validate import finding_lines, summary, with_places
    from taskrunner.clock import SystemClock
    from taskrunner.model.validate import validate_document

    sources = Sources(
        path=options["definition"],
        parameters_file=options["parameters_file"],
        values_file=options["values_file"],
        params=options["params"],
        resource=options["resource"],
    )
    document = load_document(sources)
    report = validate_document(document, now=SystemClock().now())
    places = Places.of(rules.otherwise(*OTHERWISE), Path(sources.path).stem, ())
    report = with_places(report, places, document.definition)
    # Which periods run is chosen here, and none is run by its own past.
    said = replace(report, warnings=tuple(w for w in report.warnings if "backfill" not in w.code))
    for line in finding_lines(sources.path, said):
        click.echo(line, err=True)
    if not report.valid:
        raise DefinitionError(summary(sources.path, report))
    return document.definition


def _s3_root(options: Mapping[str, Any]) -> Path | None:
    named = [flag for flag in ("s3_root", "s3_endpoint", "aws") if options[flag]]
    if len(named) > 1:
        flags = " and ".join("--" + name.replace("_", "-") for name in named)
        raise UsageError(f"{flags} exclude each other: S3 is a folder, another endpoint, or AWS")
    if options["s3_endpoint"]:
        check_endpoint(options["s3_endpoint"])
    if options["s3_endpoint"] or options["aws"]:
        return None
    root = options["s3_root"]
    return Path(root).absolute() if root else Path(options["work_dir"]).absolute() / "s3"


def _selection(at: datetime | None, since: datetime | None, until: datetime | None) -> Selection:
    if at is not None and (since is not None or until is not None):
        raise UsageError("--at picks one occurrence, --from and --to a range: give one of them")
    if since is not None and until is not None and until < since:
        raise UsageError("--to is before --from")
    return Selection(at=at, since=since, until=until)


def _databases(
    given: Iterable[str], definition: Definition, environ: Mapping[str, str]
) -> dict[str, str]:
    """Database object id -> URL; all wrong ones are told here, before anything runs."""
    from taskrunner.data.databases.registry import check_url

    found = _databases_of(environ)
    for word in given:
        object_id, _, url = word.partition("=")
        if not object_id or "://" in object_id or "://" not in url:
            # It is not told: where the id was forgotten it holds a password.
            raise UsageError("--database: wanted ID=URL, such as Db=postgresql://HOST/NAME")
        found[object_id] = url
    known = {obj.id for obj in definition.objects}
    for object_id, url in found.items():
        if object_id not in known:
            raise UsageError(f"--database: the definition has no object {object_id!r}")
        check_url(object_id, url)
    return found


def _databases_of(environ: Mapping[str, str]) -> dict[str, str]:
    text = environ.get("TASKRUNNER_DATABASES")
    if not text:
        return {}
    try:
        return mapping(text)
    except ValueError:
        raise ConfigError("TASKRUNNER_DATABASES: wanted a JSON object of ids and URLs") from None


def _names_sns_endpoint(environ: Mapping[str, str]) -> bool:
    """Whether the user has pointed SNS somewhere: then alarms are meant to arrive there."""
    return bool(environ.get("AWS_ENDPOINT_URL_SNS") or environ.get("AWS_ENDPOINT_URL"))


def _console() -> Any:
    from rich.console import Console

    # Wide enough for whole lines where nobody reads on a screen.
    width = None if sys.stdout.isatty() else 200
    return Console(highlight=False, width=width)


def _follower(console: Any, form: str, title: str) -> Follower:
    from taskrunner.cli.follow import LineFollower, SilentFollower, TableFollower

    if form == "json":
        return SilentFollower(sys.stderr)
    return TableFollower(console, title) if console.is_terminal else LineFollower(sys.stdout)
