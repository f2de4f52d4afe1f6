"""`taskrunner validate`: everything that is wrong in a definition, before anything runs."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskrunner.cli.documents import Sources, load_document
from taskrunner.clock import SystemClock
from taskrunner.errors import DefinitionError, UsageError
from taskrunner.model.catalog.effects import Target
from taskrunner.model.document import Definition
from taskrunner.model.validate import Finding, Report, unreadable, validate_document

if TYPE_CHECKING:
    from taskrunner.cli.places import Places


@click.command(help="Report everything that is wrong in FILE (- for standard input).")
@click.argument("path", metavar="FILE")
@click.option("--parameters-file", metavar="F", help="Declarations: {'parameters': [...]}.")
@click.option("--values-file", metavar="F", help="Values: {'values': {id: value}}.")
@click.option("--param", "params", multiple=True, metavar="ID=VALUE", help="Repeat for more.")
@click.option("--resource", metavar="NAME", help="Which pipeline of a template or plan.")
@click.option(
    "--resources",
    metavar="WHERE|FILE",
    help="The rules of the service that it is for (`taskrunner serve --resources`): says where "
    "each resource runs, and warns of those that no rule matches.",
)
@click.option(
    "--pipeline-name", metavar="NAME", help="For rules that ask for it; FILE's name without it."
)
@click.option(
    "--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag, for rules that ask for it."
)
@click.option(
    "--target",
    type=click.Choice([target.value for target in Target]),
    help="Where it is to run: here, on hosts of one's own, or in AWS. What nobody there can run is "
    "an error, what has no effect there a warning.",
)
@click.option("--aws-limits", is_flag=True, help="AWS's limits are errors, not warnings.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(path: str, *, target: str | None, aws_limits: bool, form: str, **options: Any) -> int:
    """Print the findings; 0 when there is no error, 1 when there is."""
    places = _places(
        path, options.pop("resources"), options.pop("pipeline_name"), options.pop("tags")
    )
    sources = Sources(path=path, **options)
    with _no_collector():
        where = Target(target) if target is not None else None
        report = _report(sources, places, where, aws_limits=aws_limits)
    if form == "json":
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        told = places.lines() if places is not None else ()
        click.echo("\n".join([*finding_lines(path, report), *told, summary(path, report)]))
    return 0 if report.valid else 1


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without cyclic garbage collection: a large definition makes none, and is half the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _places(
    path: str, resources: str | None, pipeline_name: str | None, tags: tuple[str, ...]
) -> Places | None:
    """Where resources run, if that is asked. Raises UsageError."""
    if resources is None:
        if pipeline_name is not None or tags:
            raise UsageError("--pipeline-name and --tag are for --resources")
        return None
    from taskrunner.cli.places import Places
    from taskrunner.cli.resource_rules import given_rules

    return Places.of(given_rules(resources), pipeline_name or Path(path).stem, tags)


def _report(
    sources: Sources, places: Places | None, target: Target | None, *, aws_limits: bool
) -> Report:
    try:
        document = load_document(sources)
    except DefinitionError as error:
        report = unreadable(error)
        return report if error.place.source == sources.path else _of_other_file(report, error)
    now = SystemClock().now()
    report = validate_document(document, aws_limits=aws_limits, now=now, target=target)
    return report if places is None else with_places(report, places, document.definition)


def with_places(report: Report, places: Places, definition: Definition) -> Report:
    """The report, with what is to be said of where the resources of a valid definition run."""
    if not report.valid:
        return report
    known = {(found.id, found.field, found.code) for found in report.warnings}
    more = (f for f in places.look(definition) if (f.id, f.field, f.code) not in known)
    return replace(report, warnings=(*report.warnings, *more))


def _of_other_file(report: Report, error: DefinitionError) -> Report:
    """The findings with the file named that they are in, as it is not the definition's."""
    message = f"{error.place.source}: {error.message}"
    return Report(errors=tuple(replace(found, message=message) for found in report.errors))


def finding_lines(path: str, report: Report) -> Iterator[str]:
    """Every error, then every warning: a line each that begins with its place."""
    for kind, findings in (("error", report.errors), ("warning", report.warnings)):
        for finding in findings:
            yield f"{_where(path, finding)}: {kind}: {finding} [{finding.code}]"


def summary(path: str, report: Report) -> str:
    """How many there are of each."""
    counts = f"{_count(report.errors, 'error')}, {_count(report.warnings, 'warning')}"
    return f"{path}: {'valid' if report.valid else 'not valid'}: {counts}"


def _where(path: str, finding: Finding) -> str:
    if finding.line is None:
        return path
    return f"{path}:{finding.line}:{finding.column}"


def _count(findings: tuple[Finding, ...], noun: str) -> str:
    return f"{len(findings)} {noun}{'' if len(findings) == 1 else 's'}"
