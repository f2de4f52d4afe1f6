"""`taskrunner ps` and `taskrunner runs`: what runs and waits now, and how runs have ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from taskrunner.cli.operators.options import MOMENT, Asked, command, pipeline_argument
from taskrunner.cli.operators.tables import (
    Column,
    counted,
    elapsed,
    show,
    show_json,
    text_of,
    when,
)
from taskrunner.model.states import INSTANCE_LIVE

#: What is shown of waiting instances unless all are wanted: a backfill may have thousands.
_MOST = 200
_AT_WORK = ("RUNNING", "WAITING_FOR_RUNNER", "CREATING", "ACTIVATING", "SHUTTING_DOWN")
_LIVE = tuple(sorted(INSTANCE_LIVE))


def _ps(asked: Asked, pipeline: str | None, everything: bool) -> None:
    service = asked.connect()
    if pipeline is not None:
        named = [service.pipeline(service.pipeline_id(pipeline))["summary"]]
    else:
        named = [
            row
            for row in service.pipelines({"runs": 1})
            # Where counts are known, those with nothing to show are not asked.
            if "counts" not in row or any(status in row["counts"] for status in _LIVE)
        ]
    wanted = _LIVE if everything else _AT_WORK
    rows: list[Any] = []
    for one in named:
        found = service.instances(one["id"], {"status": list(wanted)}, _MOST)
        rows += [{"pipeline_id": one["id"], "pipeline": one["name"], **row} for row in found]
    if asked.as_json:
        show_json({"instances": rows})
        return
    now = service.now
    show(
        rows,
        [
            Column(name="PIPELINE", cell=text_of("pipeline"), least=10, distinct=True),
            Column(name="COMPONENT", cell=text_of("component_id"), least=10, distinct=True),
            Column(name="PERIOD", cell=lambda row: when(row["start"], now)),
            Column(name="STATUS", cell=text_of("status")),
            Column(name="FOR", cell=lambda row: elapsed(row.get("began"), None, now), right=True),
            Column(name="TRY", cell=lambda row: str(row["attempts"] or ""), right=True, drop=3),
            Column(name="GROUP", cell=text_of("group"), least=8, drop=2),
            Column(name="NOTE", cell=text_of("error_message"), least=16, drop=4),
        ],
        nothing="nothing is at work" if not everything else "nothing runs or waits",
    )


def _runs(asked: Asked, pipeline: str, run: str | None, status: Sequence[str], number: int) -> None:
    service = asked.connect()
    pipeline_id = service.pipeline_id(pipeline)
    if run is not None or status:
        filters = {"run": run, "status": [one.upper() for one in status]}
        rows = service.instances(pipeline_id, filters, number if run is None else 5000)
        _show_instances(asked, service.now, rows)
        return
    rows = service.runs(pipeline_id, number)
    if asked.as_json:
        show_json({"runs": rows})
        return
    now = service.now
    show(
        rows,
        [
            Column(name="RUN", cell=lambda row: str(row["start"])),
            Column(name="STATUS", cell=text_of("status")),
            Column(name="INSTANCES", cell=lambda row: counted(row["counts"]), least=20),
            Column(name="BEGAN", cell=lambda row: when(row.get("began"), now), drop=2),
            Column(
                name="TOOK",
                cell=lambda row: elapsed(row.get("began"), row.get("ended"), now),
                right=True,
                drop=1,
            ),
        ],
        nothing="it has not run yet",
    )


def _show_instances(asked: Asked, now: Any, rows: Sequence[Any]) -> None:
    if asked.as_json:
        show_json({"instances": rows})
        return
    show(
        rows,
        [
            Column(name="INSTANCE", cell=text_of("id"), least=30, distinct=True),
            Column(name="STATUS", cell=text_of("status")),
            Column(
                name="TOOK",
                cell=lambda row: elapsed(row.get("began"), row.get("ended"), now),
                right=True,
            ),
            Column(name="TRIES", cell=lambda row: str(row["attempts"] or ""), right=True, drop=3),
            Column(name="TYPE", cell=text_of("type"), drop=4),
            Column(name="ERROR", cell=text_of("error_id"), drop=2),
            Column(name="MESSAGE", cell=text_of("error_message"), least=12, drop=1),
        ],
        nothing="no instance",
    )


ps = command(
    "ps",
    _ps,
    "What runs now, or waits for a runner, in all pipelines or in one.",
    [
        click.Argument(["pipeline"], required=False),
        click.Option(["--all", "everything"], is_flag=True, help="And all that waits otherwise."),
    ],
)
runs = command(
    "runs",
    _runs,
    "The runs of a pipeline, newest first; or the instances of one, or with a status.",
    [
        pipeline_argument(),
        click.Option(["--run"], type=MOMENT, metavar="MOMENT", help="The instances of this run."),
        click.Option(
            ["--status"],
            multiple=True,
            metavar="STATUS",
            help="The instances with this status, such as FAILED (repeatable).",
        ),
        click.Option(
            ["--number", "-n"],
            type=click.IntRange(1, 500),
            default=20,
            show_default=True,
            help="How many.",
        ),
    ],
)
