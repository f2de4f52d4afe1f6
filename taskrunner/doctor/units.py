"""Findings about the agents' units: state, last end, whether the file is this version's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from taskrunner.doctor.case import Finding, failed, passed, warned
from taskrunner.errors import TaskrunnerError
from taskrunner.host.program import REMEDY, closed_to_services, command_here
from taskrunner.host.units import UNIT_FOLDER, Unit
from taskrunner.installer.plan import Target, unit_text


def check_unit(unit: Unit, folder: Path = UNIT_FOLDER) -> Iterator[Finding]:
    """Whether it runs, comes back after a boot, is watched, and is what this version installs."""
    name = unit.name
    facts = unit.facts
    if facts.get("ActiveState") == "failed":
        yield failed(name, unit.state, f"mend that, then `systemctl start {name}`")
    elif facts.get("ActiveState") != "active":
        yield warned(name, f"it is {unit.state}", f"`systemctl start {name}`")
    else:
        restarts = facts.get("NRestarts", "0")
        again = f", started again {restarts} times" if restarts != "0" else ""
        yield passed(name, f"active{again}: {facts.get('StatusText') or 'it says nothing'}")
    if facts.get("UnitFileState") not in {"enabled", "enabled-runtime"}:
        yield warned(name, "it does not start at boot", f"`systemctl enable {name}`")
    if facts.get("WatchdogUSec") in {"0", "infinity"}:
        found = "WatchdogSec= is off: an agent that hangs is not started again"
        yield warned(name, found, f"take that out by `systemctl edit {name}`")
    if facts.get("NeedDaemonReload") == "yes":
        yield warned(
            name, "its file has changed since systemd read it", "`systemctl daemon-reload`"
        )
    yield from check_program(facts.get("ExecStart", ""), facts.get("User", ""))
    if (lines := _outdated(name, folder)) is not None:
        found = f"its file is not what this version installs: {lines}"
        remedy = "`taskrunner install-service`, as after each upgrade, then restart it; changes of "
        yield warned(name, found, f"{remedy}your own belong into `systemctl edit {name}`")


def check_program(
    starts: str, user: str, closed: Callable[[str], str] = closed_to_services
) -> Iterator[Finding]:
    """A finding if the user of a unit that starts this program cannot read it."""
    if " ".join(command_here()) in starts and (found := closed(user)):
        yield failed("program", found, REMEDY)


def _outdated(name: str, folder: Path) -> str | None:
    """The first line that differs; None when none does, or it cannot be told."""
    instance = re.fullmatch(r"taskrunner@(.+)\.service", name)
    with suppress(OSError, TaskrunnerError):
        target = Target(instance=instance[1] if instance else None)
        text = (folder / target.file).read_text()
        command = re.search(r"(?m)^ExecStart=(.+?) agent --config ", text)
        if command is None:
            return "it starts something else"
        wanted = unit_text(target, command[1].split())
        lines = set(wanted.splitlines()) ^ set(text.splitlines())
        if text != wanted:
            return repr(min(lines, default="the order of lines"))
    return None
