"""`taskrunner validate`: everything that is wrong in a definition, before anything runs."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import click

from taskrunner.cli.documents import Sources, load_document
from taskrunner.clock import SystemClock
from taskrunner.errors import DefinitionError
from taskrunner.model.validate import Finding, Report, unreadable, validate_document


@click.command(help="Report everything that is wrong in FILE (- for standard input).")
@click.argument("path", metavar="FILE")
@click.option("--parameters-file", metavar="F", help="Declarations: {'parameters': [...]}.")
@click.option("--values-file", metavar="F", help="Values: {'values': {id: value}}.")
@click.option("--param", "params", multiple=True, metavar="ID=VALUE", help="Repeat for more.")
@click.option("--resource", metavar="NAME", help="Which pipeline of a template or plan.")
@click.option("--aws-limits", is_flag=True, help="AWS's limits are errors, not warnings.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(
    path: str,
    parameters_file: str | None,
    values_file: str | None,
    params: tuple[str, ...],
    resource: str | None,
    *,
    aws_limits: bool,
    form: str,
) -> int:
    """Print the findings; 0 when there is no error, 1 when there is."""
    sources = Sources(
        path=path,
        parameters_file=parameters_file,
        values_file=values_file,
        params=params,
        resource=resource,
    )
    with _no_collector():
        report = _report(sources, aws_limits=aws_limits)
    if form == "json":
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        click.echo("\n".join([*finding_lines(path, report), summary(path, report)]))
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


def _report(sources: Sources, *, aws_limits: bool) -> Report:
    try:
        document = load_document(sources)
    except DefinitionError as error:
        report = unreadable(error)
        return report if error.place.source == sources.path else _of_other_file(report, error)
    return validate_document(document, aws_limits=aws_limits, now=SystemClock().now())


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
