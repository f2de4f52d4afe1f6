"""`taskrunner pause`, `resume` and `drain`: have the agent of this host take work, or not."""

from __future__ import annotations

import os
from pathlib import Path

import click

from taskrunner.agent.operations.control import NotRunning, ask
from taskrunner.config.load import examine
from taskrunner.config.options import named
from taskrunner.errors import ConfigError

#: As init scripts have it: the program is not running.
EXIT_NOT_RUNNING = 3


def work_folder(config: str | None, work_dir: str | None) -> Path:
    """Where the agent is asked; raises ConfigError. Other settings may be wrong or missing.

    A file that cannot be read may name another folder than the default one, and with it another
    agent: nobody's work is to end because of a slip of the pen.
    """
    found = examine({"work_dir": work_dir}, os.environ, file=config)
    path = found.values.get("work_dir")
    doubtful = found.unread or "work_dir" in found.misspelt
    if not isinstance(path, Path) or (doubtful and work_dir is None):
        unknown = "it is not known which agent is meant: mend that, or give --work-dir"
        raise ConfigError("\n".join([*found.errors, unknown]))
    return path


def _tell(config: str | None, work_dir: str | None, command: str, **arguments: object) -> object:
    folder = work_folder(config, work_dir)
    try:
        return ask(folder, command, **arguments)
    except NotRunning as error:
        click.echo(f"taskrunner: {error}", err=True)
        return None


def _pause(config: str | None, work_dir: str | None, note: str | None) -> int:
    reply = _tell(config, work_dir, "pause", note=note)
    if not isinstance(reply, dict):
        return EXIT_NOT_RUNNING
    click.echo(
        f"paused: no task is taken until `taskrunner resume`; {reply['running']} running go on. "
        "What a poll under way still brings is left to other agents."
        if reply["paused"]
        else f"was paused already; {reply['running']} tasks run"
    )
    return 0


def _resume(config: str | None, work_dir: str | None) -> int:
    reply = _tell(config, work_dir, "resume")
    if not isinstance(reply, dict):
        return EXIT_NOT_RUNNING
    closed = "".join(f"; still held by {item['by']}: {item['why']}" for item in reply["paused"])
    click.echo(("resumed" if reply["resumed"] else "was not paused") + closed)
    return 0


def _drain(config: str | None, work_dir: str | None, *, now: bool) -> int:
    reply = _tell(config, work_dir, "drain", now=now)
    if not isinstance(reply, dict):
        return EXIT_NOT_RUNNING
    what = "are ended and reported as interrupted" if now else "have --drain-timeout to finish"
    click.echo(f"draining: {reply['running']} running tasks {what}; then the agent ends")
    return 0


pause = click.Command(
    "pause",
    callback=_pause,
    params=[
        click.Option(["--note"], metavar="TEXT", help="Why, for `taskrunner status` and the log."),
        *named("work_dir"),
    ],
    help="Have the agent of this host take no more tasks; what runs goes on. Exit code 3 when no "
    "agent runs.",
)
resume = click.Command(
    "resume",
    callback=_resume,
    params=named("work_dir"),
    help="Have the agent of this host take tasks again. Exit code 3 when no agent runs.",
)
drain = click.Command(
    "drain",
    callback=_drain,
    params=[
        click.Option(["--now"], is_flag=True, help="End what runs instead of waiting for it."),
        *named("work_dir"),
    ],
    help="Have the agent of this host finish what runs and end, as SIGTERM does. Under systemd it "
    "is not started again. Exit code 3 when no agent runs.",
)
