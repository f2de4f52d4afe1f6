"""`taskrunner schedule`: when a definition would run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from itertools import islice

import click

from taskrunner.cli.inputs import load_definition, moment
from taskrunner.clock import SystemClock
from taskrunner.model.inheritance import effective
from taskrunner.model.parameters import parameter_values
from taskrunner.model.times import format_datetime
from taskrunner.model.timetable import Entry, timetable

_COLUMNS = {"runsAt": "RUNS AT", "scheduledStart": "START", "scheduledEnd": "END", "object": "OF"}
_TIME_WIDTH = len("YYYY-MM-DDTHH:MM:SS")


@click.command(help="Print when FILE's schedules run, in the order of time (UTC).")
@click.argument("path", metavar="FILE")
@click.option(
    "--activated",
    metavar="TIME",
    callback=moment,
    help="When the pipeline is activated (default: now).",
)
@click.option("--count", default=10, show_default=True, type=click.IntRange(min=1))
@click.option("--param", "given", multiple=True, metavar="ID=VALUE", help="Repeat for more.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def command(
    path: str, activated: datetime | None, count: int, given: tuple[str, ...], form: str
) -> None:
    """Print the first occurrences of all schedules, merged."""
    definition = load_definition(path, given)
    entries = timetable(
        effective(definition),
        parameter_values(definition),
        activated_at=activated or SystemClock().now(),
    )
    rows = [_row(entry) for entry in islice(entries, count)]
    click.echo(json.dumps(rows, indent=2) if form == "json" else _table(rows))


def _row(entry: Entry) -> dict[str, str]:
    return {
        "object": entry.schedule_id,
        "scheduledStart": format_datetime(entry.occurrence.start),
        "scheduledEnd": format_datetime(entry.occurrence.end),
        "runsAt": format_datetime(entry.runs_at),
    }


def _table(rows: Iterable[dict[str, str]]) -> str:
    lines = [_COLUMNS, *rows]
    return "\n".join("  ".join(f"{r[k]:<{_TIME_WIDTH}}" for k in _COLUMNS).rstrip() for r in lines)
