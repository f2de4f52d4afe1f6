"""`taskrunner doctor --unit`: the same examination, made just as systemd runs the agent.

A copy of the unit is run once with `doctor` in place of `agent`: same user, variables, credentials
and sandbox. The agent's own unit is not touched.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from taskrunner.doctor.case import Finding, Result
from taskrunner.doctor.units import check_program
from taskrunner.errors import TaskrunnerError, UsageError
from taskrunner.host.units import Execute
from taskrunner.installer.carry_out import require_root_and_systemd

_FOLDER = Path("/run/systemd/system")
_PATIENCE_S = 900
#: The last word: what the copy does otherwise. The runtime folder is the agent's, and would be
#: removed with the copy.
_OTHERWISE = """
[Unit]
Description=taskrunner doctor

[Service]
Type=oneshot
ExecStart=
ExecStart={command}
ExecStartPre=
ExecStartPost=
ExecReload=
ExecStop=
ExecStopPost=
Restart=no
WatchdogSec=0
NotifyAccess=none
RuntimeDirectory=
TimeoutStartSec=15min
StandardOutput=truncate:{output}
StandardError=journal
"""


def _execute(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  our own commands
        argv, capture_output=True, text=True, check=False, timeout=_PATIENCE_S
    )


def unit_name(given: str) -> str:
    """The whole name of an agent's unit: `taskrunner`, `taskrunner@NAME`, with .service or not."""
    name = given.removesuffix(".service")
    if not re.fullmatch(r"taskrunner(@[A-Za-z0-9_.-]+)?", name):
        raise UsageError(f"--unit: found {given!r}, wanted taskrunner or taskrunner@NAME")
    return f"{name}.service"


def examine_unit(
    given: str, *, poll: bool, folder: Path = _FOLDER, execute: Execute = _execute
) -> list[Finding]:
    """What the doctor finds as that unit; raises TaskrunnerError."""
    name = unit_name(given)
    if folder is _FOLDER:
        require_root_and_systemd()
    shown = execute(["systemctl", "cat", "--", name])
    if shown.returncode != 0:
        raise TaskrunnerError(
            f"{name} is not installed on this host: `taskrunner install-service` does it"
        )
    users = re.findall(r"(?m)^User=(\S+)$", shown.stdout) or [""]
    if unreadable := list(check_program(shown.stdout, users[-1])):
        return unreadable
    with tempfile.TemporaryDirectory(prefix="taskrunner-doctor-") as place:
        output = Path(place) / "findings.json"
        text = unit_of_the_doctor(shown.stdout, name, output=output, poll=poll)
        with _installed(name, text, folder, execute) as copy:
            started = execute(["systemctl", "start", "--", copy])
            return _findings(output, copy, started.stderr)


def unit_of_the_doctor(text: str, name: str, *, output: Path, poll: bool) -> str:
    """The text of the copy; raises TaskrunnerError when the unit starts no agent."""
    starts = re.findall(r"(?m)^ExecStart=(.*\S)$", text)
    found = re.fullmatch(r"(.+?)\s+agent\s+(.*)", starts[-1]) if starts else None
    if found is None:
        raise TaskrunnerError(f"{name} does not start `taskrunner agent`: it cannot be examined")
    flags = f"--format json --as-unit {name}{' --poll' if poll else ''}"
    command = f"{found[1]} doctor {flags} {found[2]}"
    return text + _OTHERWISE.format(command=command, output=output)


@contextmanager
def _installed(name: str, text: str, folder: Path, execute: Execute) -> Iterator[str]:
    """The copy for as long as the block takes; an instance's copy is of the same instance."""
    instance = name.removesuffix(".service").partition("@")[2]
    copy = f"taskrunner-doctor-{os.getpid()}{'@' + instance if instance else ''}.service"
    path = folder / copy
    path.write_text(text)
    try:
        execute(["systemctl", "daemon-reload"])
        yield copy
    finally:
        path.unlink(missing_ok=True)
        execute(["systemctl", "reset-failed", "--", copy])
        execute(["systemctl", "daemon-reload"])


def _findings(output: Path, copy: str, stderr: str) -> list[Finding]:
    try:
        checks = json.loads(output.read_text())["checks"]
    except (OSError, ValueError, KeyError):
        why = stderr.strip().splitlines()[:1] or ["it said nothing"]
        raise TaskrunnerError(
            f"the examination could not be made as the unit: {why[0]}; `journalctl -u {copy}`"
        ) from None
    return [Finding(**{**check, "result": Result(check["result"])}) for check in checks]
