"""`taskrunner agents` and `taskrunner groups`: who asks for work, and which work waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from taskrunner.cli.operators.options import Asked, command, group
from taskrunner.cli.operators.tables import Column, elapsed, show, show_json, text_of, when
from taskrunner.plain import visible


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
            Column(name="WHY", cell=_why, least=10, drop=1),
        ],
        nothing="no agent was heard of within a day",
    )


def _why(row: Mapping[str, Any]) -> str:
    order = row.get("order")
    if order is None:
        return str(row.get("paused", ""))
    return f"{order['by']}: {order.get('note', order['order'].lower())}"


def _busy(row: dict[str, object]) -> str:
    return f"{row.get('busy', '?')}/{row['slots']}" if row.get("slots") is not None else ""


def _pause(
    asked: Asked, agent: Sequence[str], group: str | None, note: str | None, minutes: int | None
) -> None:
    _tell(asked, "pause", {"ids": list(agent), "group": group, "note": note, "minutes": minutes})


def _drain(
    asked: Asked, agent: Sequence[str], group: str | None, note: str | None, minutes: int | None
) -> None:
    _tell(asked, "drain", {"ids": list(agent), "group": group, "note": note, "minutes": minutes})


def _resume(asked: Asked, agent: Sequence[str], group: str | None) -> None:
    _tell(asked, "resume", {"ids": list(agent), "group": group})


def _tell(asked: Asked, action: str, body: Mapping[str, object]) -> None:
    service = asked.connect()
    found = service.tell_agents(action, body)
    if asked.as_json:
        show_json(found)
        return
    now = service.now
    for row in found["agents"]:
        order = row.get("order")
        told = "takes work again, from its next poll on" if order is None else _order(order, now)
        click.echo(f"{visible(row['id'])}: {told}")


def _order(order: Mapping[str, str], now: datetime) -> str:
    until = f" until {when(order['until'], now)}" if "until" in order else " until it is resumed"
    if order["order"] == "PAUSE":
        return f"takes no work{until}; what it runs goes on"
    return f"takes no work{until}, and ends after its next heartbeat, once what it runs has ended"


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


_WHICH: tuple[click.Parameter, ...] = (
    click.Argument(["agent"], nargs=-1),
    click.Option(["--group"], metavar="NAME", help="All that serve a worker group."),
)
_ORDER: tuple[click.Parameter, ...] = (
    click.Option(["--note"], metavar="TEXT", help="Why, for those who look."),
    click.Option(["--minutes"], type=click.IntRange(1), metavar="N", help="For how long."),
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
        ),
        command(
            "pause",
            _pause,
            "Have agents take no work, until they are resumed or for --minutes; what they run goes "
            "on.",
            [*_WHICH, *_ORDER],
        ),
        command(
            "drain",
            _drain,
            "Have agents take no work from now on, finish what they run, and end; they hear that "
            "they are to end by the answer to a heartbeat (--heartbeat-interval, 15 minutes).",
            [*_WHICH, *_ORDER],
        ),
        command("resume", _resume, "Let agents take work again.", _WHICH),
    ],
)
groups = command(
    "groups",
    _groups,
    "Worker groups with work or with agents, those whose work nobody asks for first.",
    [click.Option(["--name"], metavar="TEXT", help="Part of the name.")],
)
