"""What is read from systemd's answers."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from taskrunner.host.units import Execute, agent_units, show_unit

NAME = "taskrunner.service"


def _says(output: str, code: int = 0) -> Execute:
    def execute(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, code, output, "no\n")

    return execute


def test_a_unit_is_read_from_systemctl_show() -> None:
    systemd = _says("LoadState=loaded\nStatusText=a=b\n")
    unit = show_unit(NAME, systemd)
    assert unit is not None
    assert unit.facts["StatusText"] == "a=b"
    assert show_unit(NAME, _says("LoadState=not-found\n")) is None
    assert show_unit(NAME, _says("", code=1)) is None

    def absent(_argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        raise FileNotFoundError("systemctl")

    assert show_unit(NAME, absent) is None


def test_instances_are_found_by_being_enabled(tmp_path: Path) -> None:
    (tmp_path / "multi-user.target.wants").mkdir()
    for name in (NAME, "multi-user.target.wants/taskrunner@blue.service", "taskrunner@.service"):
        (tmp_path / name).touch()
    assert agent_units(tmp_path) == [NAME, "taskrunner@blue.service"]
