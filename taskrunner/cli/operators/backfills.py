"""`taskrunner backfill`: periods of the past run, and what becomes of those that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from taskrunner.cli.operators.options import MOMENT, Asked, command, pipeline_argument
from taskrunner.cli.operators.tables import Column, show, show_json, text_of, when
from taskrunner.plain import visible


def _begin(
    asked: Asked,
    pipeline: str,
    first: str,
    last: str,
    component: Sequence[str],
    dry_run: bool,
    **given: Any,
) -> None:
    service = asked.connect()
    v1 = service.ours("a backfill")
    pipeline_id = service.pipeline_id(pipeline)
    more = {key: value for key, value in given.items() if value}
    body = {"first": first, "last": last, "component": list(component), "dry_run": dry_run}
    found = v1.post("pipelines", pipeline_id, "backfill", body={**body, **more})
    if asked.as_json:
        show_json(found)
        return
    show(
        found["runs"],
        [
            Column(name="RUN", cell=text_of("start")),
            Column(name="DO", cell=text_of("action")),
            Column(name="IS", cell=text_of("status")),
            Column(name="COMPONENTS", cell=lambda row: " ".join(row["components"]), least=10),
            Column(name="OVERWRITES", cell=_overwrites, least=20),
        ],
        nothing="no period",
    )
    verb = "would run" if dry_run else "run"
    key = found.get("backfill_id")
    named = f": taskrunner backfill show {key}" if key else ""
    click.echo(f"{found['count']} of {len(found['runs'])} periods {verb}{named}", err=True)


def _overwrites(row: Mapping[str, Any]) -> str:
    return visible(" ".join(one["place"] or one["node_id"] for one in row["overwrites"]))


def _list(asked: Asked, pipeline: str | None, limit: int) -> None:
    service = asked.connect()
    v1 = service.ours("to list backfills")
    filters = {"pipeline_id": service.pipeline_id(pipeline)} if pipeline else {}
    rows: list[Any] = []
    for row in v1.pages("backfills", "backfills", limit=min(limit, 500), **filters):
        rows.append(row)
        if len(rows) == limit:
            break
    if asked.as_json:
        show_json({"backfills": rows})
        return
    now = service.now
    show(
        rows,
        [
            Column(name="BACKFILL", cell=text_of("id")),
            Column(name="PIPELINE", cell=text_of("pipeline_id")),
            Column(name="STATE", cell=text_of("state")),
            Column(name="DONE", cell=lambda row: f"{row['done']}/{row['total']}", right=True),
            Column(name="FAILED", cell=lambda row: str(_failed(row)), right=True),
            Column(name="FIRST", cell=text_of("first"), drop=2),
            Column(name="LAST", cell=text_of("last"), drop=2),
            Column(name="ASKED", cell=lambda row: when(row["asked_at"], now)),
            Column(name="BY", cell=text_of("asked_by"), least=8, drop=1),
            Column(name="REASON", cell=text_of("reason"), least=10, drop=1),
        ],
        nothing="there is no backfill",
    )


_ILL = ("FAILED", "TIMEDOUT", "CANCELED", "CASCADE_FAILED")


def _failed(row: Mapping[str, Any]) -> int:
    return sum(row["counts"].get(status, 0) for status in _ILL)


def _show(asked: Asked, backfill: str) -> None:
    found = asked.connect().ours("to show a backfill").get("backfills", backfill)
    _tell(asked, found)


def _tell(asked: Asked, found: Mapping[str, Any]) -> None:
    if asked.as_json:
        show_json(found)
        return
    counts = ", ".join(f"{n} {status}" for status, n in found["counts"].items()) or "none"
    lines = {
        "backfill": found["id"],
        "pipeline": found["pipeline_id"],
        "state": found["state"],
        "periods": f"{found['begun']} of {found['periods']} set going, "
        f"{found['first']} to {found['last']}, --redo {found['redo']}{_pace(found)}",
        "components": " ".join(found["components"]) or "all",
        "instances": f"{found['done']} of {found['total']} have ended: {counts}",
        "asked by": f"{found['asked_by']} at {found['asked_at']}",
        "reason": found.get("reason", ""),
    }
    if "paused_at" in found:
        lines["paused by"] = f"{found['paused_by']} at {found['paused_at']}"
    for name, text in lines.items():
        click.echo(f"{name:<11} {visible(str(text))}".rstrip())


def _pace(found: Mapping[str, Any]) -> str:
    """How many of its periods go on at once, and which begin first, where that is limited."""
    if "limit" not in found:
        return ""
    return f" --limit {found['limit']} --order {found['order']}"


def _changing(verb: str, text: str) -> click.Command:
    def change(asked: Asked, backfill: str) -> None:
        v1 = asked.connect().ours(f"to {verb} a backfill")
        _tell(asked, v1.post("backfills", backfill, verb, body={}))

    return command(verb, change, text, [_BACKFILL])


_BACKFILL = click.Argument(["backfill"])
_BEGIN = command(
    "backfill",
    _begin,
    "Run periods of a schedule that lie in the past. They take places under maxActiveInstances as "
    "any run does.",
    [
        pipeline_argument(),
        click.Argument(["first"], type=MOMENT),
        click.Argument(["last"], type=MOMENT),
        click.Option(
            ["--redo"],
            type=click.Choice(["missing", "failed", "all"]),
            default="missing",
            show_default=True,
            help="Periods that have no instances; these and what did not end well; or every one.",
        ),
        click.Option(["--component"], multiple=True, metavar="ID", help="Only it (repeatable)."),
        click.Option(["--reason"], metavar="TEXT", help="Why, for those who look at it."),
        click.Option(
            ["--limit"],
            type=click.IntRange(1, 1000),
            metavar="N",
            help="So many periods at once; else as many as maxActiveInstances lets.",
        ),
        click.Option(
            ["--order"],
            type=click.Choice(["oldest", "newest"]),
            default="oldest",
            show_default=True,
            help="Which begin first; newest takes --limit.",
        ),
        click.Option(["--dry-run"], is_flag=True, help="List what would be done, and do nothing."),
    ],
)


class _Backfill(click.Group):
    """A group whose first word may be a pipeline: `backfill PIPELINE FIRST LAST` asks for one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in {"--help", "-h"}:
            args = ["begin", *args]
        return super().parse_args(ctx, args)


backfill = _Backfill(
    "backfill",
    commands={
        "begin": _BEGIN,
        "list": command(
            "list",
            _list,
            "Backfills, newest first, and how far each has come.",
            [
                click.Option(["--pipeline"], metavar="PIPELINE", help="Of this pipeline."),
                click.Option(
                    ["--limit"], type=click.IntRange(1), default=50, show_default=True, metavar="N"
                ),
            ],
        ),
        "show": command("show", _show, "One backfill, and how far it has come.", [_BACKFILL]),
        "pause": _changing("pause", "Let nothing new of a backfill begin; what runs goes on."),
        "resume": _changing("resume", "Let a paused backfill go on."),
        "cancel": _changing("cancel", "Cancel all of a backfill that has not ended."),
    },
    help="Run periods of a schedule that lie in the past: `backfill PIPELINE FIRST LAST`, which is "
    "`backfill begin`. A pipeline that is called as a command is wanted by its id, or after "
    "`begin`.",
    context_settings={"max_content_width": 100},
)
