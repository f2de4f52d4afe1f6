"""`taskrunner agents` and `taskrunner groups`: who asks for work, and which work waits."""

from __future__ import annotations

from collections.abc import Sequence

import click

from taskrunner.cli.operators.options import Asked, command, group
from taskrunner.cli.operators.tables import Column, elapsed, show, show_json, text_of, when


def _agents(asked: Asked, group: str | None, state: Sequence[str]) -> None:
    service = asked.connect()
    rows = service.agents({"group": group, "state": [one.upper() for one in state]})
    if asked.as_json:
        show_json({"agents": rows})
        return
    now = service.now
    show(
        rows,
        [
            Column(name="AGENT", cell=text_of("id"), least=12, distinct=True),
            Column(name="HOST", cell=text_of("hostname"), least=10, distinct=True),
            Column(name="STATE", cell=text_of("state")),
            Column(name="BUSY", cell=_busy, right=True),
            Column(name="GROUPS", cell=lambda row: " ".join(row["groups"]), least=10),
            Column(name="SEEN", cell=lambda row: when(row["last_seen"], now)),
            Column(name="VERSION", cell=text_of("version"), drop=2),
            Column(name="USER", cell=text_of("user"), least=8, drop=3),
            Column(name="WHY", cell=text_of("paused"), least=10, drop=1),
        ],
        nothing="no agent was heard of within a day",
    )


def _busy(row: dict[str, object]) -> str:
    return f"{row.get('busy', '?')}/{row['slots']}" if row.get("slots") is not None else ""


def _groups(asked: Asked, name: str | None) -> None:
    service = asked.connect()
    rows = service.groups({"name": name})
    if asked.as_json:
        show_json({"groups": rows})
        return
    now = service.now
    show(
        rows,
        [
            Column(name="GROUP", cell=text_of("name"), least=16, distinct=True),
            Column(name="READY", cell=text_of("ready"), right=True),
            Column(
                name="OLDEST",
                cell=lambda row: elapsed(row.get("oldest_ready"), None, now),
                right=True,
            ),
            Column(name="RUNNING", cell=text_of("running"), right=True),
            Column(name="AGENTS", cell=text_of("agents"), right=True),
            Column(name="BUSY", cell=lambda row: f"{row['busy']}/{row['slots']}", right=True),
        ],
        nothing="no worker group has work or agents",
    )


agents = group(
    "agents",
    "The agents of a service, as their calls tell of them.",
    [
        command(
            "list",
            _agents,
            "Agents that were heard of within a day.",
            [
                click.Option(["--group"], metavar="NAME", help="That serve a worker group."),
                click.Option(
                    ["--state"],
                    multiple=True,
                    metavar="STATE",
                    help="READY, BUSY, PAUSED or SILENT (repeatable).",
                ),
            ],
        )
    ],
)
groups = command(
    "groups",
    _groups,
    "Worker groups with work or with agents, those whose work nobody asks for first.",
    [click.Option(["--name"], metavar="TEXT", help="Part of the name.")],
)
