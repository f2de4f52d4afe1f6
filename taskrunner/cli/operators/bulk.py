"""`taskrunner bulk`: pause, resume, activate or rerun many pipelines, named or by a filter."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from taskrunner.cli.operators.options import Asked, command, group, pipeline_filters
from taskrunner.cli.operators.service import Service
from taskrunner.cli.operators.tables import Column, show, show_json, text_of
from taskrunner.errors import UsageError
from taskrunner.wire.json_api import JsonApi

#: Pipelines of one call: each answers within seconds, and what is cut short has done whole ones.
PORTION = 100


def _bulk(
    verb: str, asked: Asked, pipeline: Sequence[str], *, dry_run: bool, **selection: Any
) -> int:
    service = asked.connect()
    v1 = service.ours("to change many pipelines")
    body = {**_which(service, pipeline, selection), "dry_run": dry_run}
    rows = list(_portions(v1, verb, body))
    if asked.as_json:
        show_json({"dry_run": dry_run, "pipelines": rows})
    else:
        _tell(verb, rows, dry_run=dry_run)
    return 1 if any("error" in row for row in rows) else 0


def _which(
    service: Service, pipeline: Sequence[str], selection: Mapping[str, Any]
) -> dict[str, Any]:
    """The pipelines that are meant, as /v1 takes them. Raises UsageError."""
    given = {key: value for key, value in selection.items() if value}
    runs = {"runs": given.pop("runs")} if "runs" in given else {}
    if bool(pipeline) is bool(given):
        raise UsageError("wanted pipelines by name, or a filter (--every: all of them); not both")
    if given.get("every") and len(given) > 1:
        raise UsageError("--every is for all pipelines: wanted it, or a filter")
    if pipeline:
        return {**runs, "ids": [service.pipeline_id(named) for named in pipeline]}
    for key in ("state", "tag"):
        if key in given:
            given[key] = list(given[key])
    return {**runs, **given, "limit": PORTION}


def _portions(v1: JsonApi, verb: str, body: dict[str, Any]) -> Iterator[Any]:
    """What came of each pipeline; a terminal is told how far it is."""
    done, marker = 0, None
    while True:
        found = v1.post("bulk", verb, body={**body, "marker": marker})
        yield from found["pipelines"]
        done, marker = done + len(found["pipelines"]), found.get("marker")
        if "limit" in body and sys.stderr.isatty():
            end = "\n" if marker is None else ""
            click.echo(f"\r{done} of {done + found['left']} pipelines{end}", nl=False, err=True)
        if marker is None:
            return


def _tell(verb: str, rows: Sequence[Mapping[str, Any]], *, dry_run: bool) -> None:
    columns = [
        Column(name="NAME", cell=text_of("name"), least=16, distinct=True),
        Column(name="ID", cell=text_of("pipeline_id")),
    ]
    if verb == "rerun":
        columns.append(Column(name="INSTANCES", cell=text_of("count"), right=True))
    columns.append(Column(name="WHY NOT", cell=text_of("error"), least=20))
    show(rows, columns, nothing="no pipeline meets the filters")
    failed = sum("error" in row for row in rows)
    done = len(rows) - failed
    word = "would be changed" if dry_run else "changed"
    click.echo(f"{done} pipelines {word}; {failed} could not be", err=True)


def _verb(verb: str, text: str, more: Sequence[click.Parameter] = ()) -> click.Command:
    def run(asked: Asked, **given: Any) -> int:
        return _bulk(verb, asked, **given)

    return command(verb, run, text, [*_SELECTION, *more])


_SELECTION: tuple[click.Parameter, ...] = (
    click.Argument(["pipeline"], nargs=-1),
    *pipeline_filters(),
    click.Option(["--every"], is_flag=True, help="All pipelines of the account."),
    click.Option(["--dry-run"], is_flag=True, help="List what would be done, and do nothing."),
)
_RUNS = click.Option(
    ["--runs"], type=click.IntRange(1, 60), metavar="N", help="Of the last N runs; else of one."
)

bulk = group(
    "bulk",
    "Change many pipelines: those that are named, or all that meet every filter. Exit code 1 when "
    "one of them could not be changed; the others are all the same.",
    [
        _verb("pause", "Let nothing new of pipelines begin; what runs goes on."),
        _verb("resume", "Let pipelines go on."),
        _verb("activate", "Set pipelines going; each on demand runs once more."),
        _verb("rerun", "Begin again what did not end well in the last runs.", [_RUNS]),
    ],
)
