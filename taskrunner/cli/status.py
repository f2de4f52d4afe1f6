"""`taskrunner status`: what the agent of this host does at this moment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from taskrunner.agent.operations.control import NotRunning, ask
from taskrunner.agent.operations.disk import amount_text
from taskrunner.cli.control import EXIT_NOT_RUNNING, work_folder
from taskrunner.config.options import FORMAT, named
from taskrunner.host.units import agent_units, show_unit


def _run(config: str | None, work_dir: str | None, form: str) -> int:
    folder = work_folder(config, work_dir)
    try:
        status = ask(folder, "status")
    except NotRunning as error:
        click.echo(f"taskrunner: {error}", err=True)
        units = {name: unit.state for name in agent_units() if (unit := show_unit(name))}
        if form == "json":
            click.echo(json.dumps({"running": False, "work_dir": str(folder), "units": units}))
        else:
            for name, state in units.items():
                click.echo(f"{name}: {state}")
        return EXIT_NOT_RUNNING
    if form == "json":
        click.echo(json.dumps({"running": True, **status}, indent=2))
    else:
        click.echo("\n".join(render(status)))
    return 0


def render(status: Mapping[str, Any]) -> Iterator[str]:
    """The lines that a person reads."""
    rows = [
        ("agent", [f"taskrunner {status['version']}, process {status['pid']}, {_up(status)}"]),
        ("service", [f"{status['endpoint']} as {status['taskrunner_id']}"]),
        ("phase", [status["phase"], *map(_pause, status["paused"])]),
        ("ready", [] if status["ready"] == "ok" else [f"no: {status['ready']}"]),
        ("slots", ["{busy} of {total} busy".format(**status["slots"])]),
        ("tasks", list(map(_task, status["tasks"])) or ["none"]),
        ("polls", [_poll(group, poll) for group, poll in status["polls"].items()]),
        ("unsent", ["{verdicts_unsent} verdicts, {logs_queued} log files".format(**status)]),
        ("kept", [_kept(status)]),
        ("disk", [_disk(status)]),
    ]
    for name, lines in rows:
        for number, line in enumerate(lines):
            yield f"{'' if number else name:<9}{line}"


def _kept(status: Mapping[str, Any]) -> str:
    kept = status["logs_kept"]
    return f"logs of {kept['attempts']} attempts, {kept['bytes'] / 2**20:.1f} MB"


def _up(status: Mapping[str, Any]) -> str:
    return f"up {_duration(status['uptime_s'])} since {status['started']}"


def _pause(item: Mapping[str, Any]) -> str:
    return f"paused by {item['by']} since {item['since']}: {item['why']}"


def _task(task: Mapping[str, Any]) -> str:
    done = task["progress"].get("attemptStatus", "")
    text = f"{task['pipeline_id']} {task['attempt_id']} ({task['type']}), {task['state']}, "
    return text + _duration(task["elapsed_s"]) + (f": {done}" if done else "")


#: What came of the last poll, for people; the others say enough.
_OUTCOMES = {"empty": "no work", "task": "a task"}


def _poll(group: str, poll: Mapping[str, Any]) -> str:
    """What the last poll brought, and that one is under way: the service holds it for 90 s."""
    parts = [f"asked {_duration(poll['asking_s'])} ago"] if "asking_s" in poll else []
    if "age_s" in poll:
        outcome = _OUTCOMES.get(poll["outcome"], poll["outcome"])
        error = f": {poll['error']}" if poll["error"] else ""
        parts.append(f"last answer {_duration(poll['age_s'])} ago: {outcome}{error}")
    else:
        parts.append("nothing yet" if parts else "no answer yet")
    return f"{group}: {', '.join(parts)}"


def _disk(status: Mapping[str, Any]) -> str:
    disk = status["disk"]
    free, total, floor = (amount_text(disk[f"{name}_bytes"]) for name in ("free", "total", "floor"))
    return f"{free} free of {total} for {status['work_dir']}; no task below {floor}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(shown[:2]) or "0 s"


command = click.Command(
    "status",
    callback=_run,
    params=[FORMAT, *named("work_dir")],
    help="Say what the agent of this host does: slots, tasks with their progress, the last poll "
    "of each worker group, what is still to be sent, disk space. Exit code 3 when no agent runs.",
)
