"""What systemd says of this program's units: their state, and why one does not run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Where units are installed by hand; those of packages are elsewhere.
UNIT_FOLDER = Path("/etc/systemd/system")

#: What the agent's exit codes say; see docs/operate.md.
_ENDS = {
    "2": "its settings are wrong",
    "70": "a part of it died",
    "71": "the process that starts tasks died",
    "77": "the service refuses its credentials",
    "203": "its program is not there, or closed to its user",
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
