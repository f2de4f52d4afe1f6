"""What is made of systemd's answers, and the copy of a unit that the doctor runs as."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from taskrunner.cli.doctor_unit import examine_unit, unit_name, unit_of_the_doctor
from taskrunner.doctor.case import Result
from taskrunner.doctor.units import check_program, check_unit
from taskrunner.errors import TaskrunnerError, UsageError
from taskrunner.host.program import command_here
from taskrunner.host.units import Unit
from taskrunner.installer.plan import Target, shipped, unit_text

NAME = "taskrunner.service"
WELL = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "UnitFileState": "enabled",
    "WatchdogUSec": "1min",
    "NeedDaemonReload": "no",
    "NRestarts": "0",
    "StatusText": "running for wg: 0 tasks running",
}


def _folder(tmp_path: Path, text: str | None = None) -> Path:
    tmp_path.joinpath(NAME).write_text(text or unit_text(Target(), ["/srv/tr/bin/taskrunner"]))
    return tmp_path


def _found(tmp_path: Path, **facts: str) -> list[tuple[Result, str]]:
    unit = Unit(name=NAME, facts={**WELL, **facts})
    return [(f.result, f.found) for f in check_unit(unit, _folder(tmp_path))]


def test_a_unit_on_which_all_is_well(tmp_path: Path) -> None:
    assert _found(tmp_path) == [(Result.PASS, "active: running for wg: 0 tasks running")]
    again = _found(tmp_path, NRestarts="3")
    assert again[0][1].startswith("active, started again 3 times")


@pytest.mark.parametrize(
    ("facts", "result", "found"),
    [
        ({"ActiveState": "inactive"}, Result.WARN, "it is inactive"),
        ({"UnitFileState": "disabled"}, Result.WARN, "it does not start at boot"),
        ({"WatchdogUSec": "0"}, Result.WARN, "WatchdogSec= is off"),
        ({"NeedDaemonReload": "yes"}, Result.WARN, "its file has changed"),
        (
            {"ActiveState": "failed", "ExecMainStatus": "77", "StatusText": ""},
            Result.FAIL,
            "failed, exit code 77: the service refuses its credentials",
        ),
        (
            {
                "ActiveState": "failed",
                "ExecMainStatus": "2",
                "StatusText": "ended with exit code 2: tasks: found 0",
            },
            Result.FAIL,
            "failed, exit code 2: tasks: found 0",
        ),
        (
            {"ActiveState": "failed", "ExecMainStatus": "9", "Result": "watchdog"},
            Result.FAIL,
            "failed, exit code 9: watchdog",
        ),
    ],
)
def test_what_is_wrong_with_a_unit(
    tmp_path: Path, facts: dict[str, str], result: Result, found: str
) -> None:
    assert any(r is result and found in text for r, text in _found(tmp_path, **facts))


def test_a_unit_file_of_another_version_is_told_by_a_line_that_differs(tmp_path: Path) -> None:
    text = unit_text(Target(), ["/srv/tr/bin/taskrunner"])
    for changed in (text.replace("Delegate=yes\n", ""), text.replace("Type=notify", "Type=simple")):
        folder = _folder(tmp_path, changed)
        findings = list(check_unit(Unit(name=NAME, facts=WELL), folder))
        assert "its file is not what this version installs" in findings[-1].found
        assert "Delegate=yes" in findings[-1].found or "Type=" in findings[-1].found
        assert "taskrunner install-service" in str(findings[-1].remedy)


def test_a_program_that_the_units_user_cannot_read_is_found() -> None:
    asked: list[str] = []

    def closed(user: str) -> str:
        asked.append(user)
        return "/root/venv/bin/taskrunner: services do not see what is in /root"

    ours = f"{{ path=x ; argv[]={' '.join(command_here())} agent --config /etc/x }}"
    (finding,) = check_program(ours, "taskrunner", closed)
    assert (finding.name, finding.result, asked) == ("program", Result.FAIL, ["taskrunner"])
    assert "a venv in /opt/taskrunner" in str(finding.remedy)
    assert list(check_program("/opt/other/bin/taskrunner agent", "taskrunner", closed)) == []
    assert list(check_program(ours, "taskrunner", lambda _user: "")) == []


class Systemd:
    def __init__(self, outputs: dict[str, str], code: int = 0) -> None:
        self.outputs, self.code = outputs, code
        self.ran: list[str] = []

    def __call__(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.ran.append(" ".join(argv))
        verb = argv[1]
        if verb == "start" and "write" in self.outputs:
            Path(self.outputs["write"]).write_text(self.outputs["text"])
        return subprocess.CompletedProcess(argv, self.code, self.outputs.get(verb, ""), "no\n")


def test_the_copy_runs_the_doctor_and_leaves_the_agents_runtime_folder_alone() -> None:
    text = shipped("systemd/taskrunner.service")
    copy = unit_of_the_doctor(text, NAME, output=Path("/o"), poll=True)
    assert copy.startswith(text), "user, credentials and sandbox are the agent's"
    last = copy[len(text) :]
    assert (
        "ExecStart=/opt/taskrunner/bin/taskrunner doctor --format json --as-unit "
        "taskrunner.service --poll --config /etc/taskrunner/taskrunner.toml\n"
    ) in last
    for line in ("RuntimeDirectory=", "Restart=no", "WatchdogSec=0", "Type=oneshot", "ExecReload="):
        assert f"\n{line}\n" in last
    with pytest.raises(TaskrunnerError, match="does not start `taskrunner agent`"):
        unit_of_the_doctor("[Service]\nExecStart=/bin/true\n", NAME, output=Path("/o"), poll=False)


@pytest.mark.parametrize("given", ["taskrunner", "taskrunner.service", "taskrunner@blue"])
def test_names_of_units(given: str) -> None:
    assert unit_name(given).endswith(".service")


@pytest.mark.parametrize("given", ["sshd", "taskrunner-serve", "taskrunner@a/b", "--help"])
def test_only_units_of_agents_can_be_examined(given: str) -> None:
    with pytest.raises(UsageError, match="--unit: found"):
        unit_name(given)


def test_what_the_copy_found_is_read_and_the_copy_is_taken_away(tmp_path: Path) -> None:
    checks = [{"name": "disk", "result": "FAIL", "found": "full", "remedy": "make space"}]
    text = "[Service]\nExecStart=/t agent --config /etc/taskrunner/blue.toml\n"

    class Running(Systemd):
        def __call__(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
            if argv[1] == "start":
                unit = tmp_path / argv[-1]
                output = unit.read_text().rpartition("StandardOutput=truncate:")[2].split()[0]
                Path(output).write_text(json.dumps({"checks": checks}))
            return super().__call__(argv)

    systemd = Running({"cat": text})
    (finding,) = examine_unit("taskrunner@blue", poll=False, folder=tmp_path, execute=systemd)
    assert (finding.result, finding.found, finding.remedy) == (Result.FAIL, "full", "make space")
    assert list(tmp_path.iterdir()) == []
    (started,) = [line for line in systemd.ran if "start" in line]
    assert started.endswith("@blue.service"), "%i is to mean the same"
    silent = Systemd({"cat": text})
    with pytest.raises(TaskrunnerError, match="could not be made as the unit: no"):
        examine_unit("taskrunner@blue", poll=False, folder=tmp_path, execute=silent)
    assert list(tmp_path.iterdir()) == []
