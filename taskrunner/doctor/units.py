"""What systemd says of the agents' units: state, last end, whether the file is this version's."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taskrunner.doctor.case import Finding, failed, passed, warned
from taskrunner.errors import TaskrunnerError
from taskrunner.installer.plan import UNIT_FOLDER, Target, unit_text

#: What the agent's exit codes say; see docs/operate.md.
_ENDS = {
    "2": "its settings are wrong",
    "70": "a part of it died",
    "71": "the process that starts tasks died",
    "77": "the service refuses its credentials",
    "203": "its program is not there",
    "226": "a folder that the unit names is not there",
    "243": "a credential that the unit names is not there",
}
_SHOWN = (
    "ActiveState",
    "Environment",
    "ExecMainStatus",
    "ExecStart",
    "Group",
    "LoadState",
    "MainPID",
    "NRestarts",
    "NeedDaemonReload",
    "Result",
    "StatusText",
    "UnitFileState",
    "User",
    "WatchdogUSec",
)

Execute = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def _execute(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  our own commands
        argv, capture_output=True, text=True, check=False, timeout=10
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit as `systemctl show` has it."""

    name: str
    facts: Mapping[str, str]

    @property
    def state(self) -> str:
        """`active`, `inactive` or `failed`, with the reason, or on the way to one of them."""
        state = self.facts.get("ActiveState", "unknown")
        code = self.facts.get("ExecMainStatus", "0")
        if state != "failed":
            return state
        why = _ENDS.get(code, self.facts.get("Result", ""))
        told = self.facts.get("StatusText", "").partition("exit code " + code + ": ")[2]
        return f"failed, exit code {code}: {told or why}"


def show_unit(name: str, execute: Execute = _execute) -> Unit | None:
    """A unit by its name; None without systemd or such a unit."""
    try:
        done = execute(["systemctl", "show", f"--property={','.join(_SHOWN)}", "--", name])
    except (OSError, subprocess.SubprocessError):
        return None
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    facts = {key: value for key, _, value in pairs}
    if done.returncode != 0 or facts.get("LoadState") != "loaded":
        return None
    return Unit(name=name, facts=facts)


def agent_units(folder: Path = UNIT_FOLDER) -> list[str]:
    """The names of the agents' units that are installed, the plain one first."""
    found = [path.name for path in folder.glob("taskrunner.service")]
    return found + sorted(path.name for path in folder.glob("*.wants/taskrunner@*.service"))


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
    if (lines := _outdated(name, folder)) is not None:
        found = f"its file is not what this version installs: {lines}"
        remedy = "`taskrunner install-service`, as after each upgrade, then restart it; changes of "
        yield warned(name, found, f"{remedy}your own belong into `systemctl edit {name}`")


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
