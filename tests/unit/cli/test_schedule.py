from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from taskrunner.cli import main


def definition(tmp_path: Path, *objects: Mapping[str, object]) -> str:
    path = tmp_path / "definition.json"
    path.write_text(json.dumps({"objects": objects}))
    return str(path)


DEFAULT = {"id": "Default", "scheduleType": "timeseries", "schedule": {"ref": "Hourly"}}
HOURLY = {
    "id": "Hourly",
    "type": "Schedule",
    "period": "1 hour",
    "startAt": "FIRST_ACTIVATION_DATE_TIME",
    "occurrences": "2",
}
WORK = {"id": "Work", "type": "ShellCommandActivity", "command": "ls"}


def test_json_has_the_occurrences_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = definition(tmp_path, DEFAULT, HOURLY, WORK)

    assert main(["schedule", path, "--activated", "2026-03-01T10:00:00", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "object": "Hourly",
            "scheduledStart": "2026-03-01T10:00:00",
            "scheduledEnd": "2026-03-01T11:00:00",
            "runsAt": "2026-03-01T11:00:00",
        },
        {
            "object": "Hourly",
            "scheduledStart": "2026-03-01T11:00:00",
            "scheduledEnd": "2026-03-01T12:00:00",
            "runsAt": "2026-03-01T12:00:00",
        },
    ]


def test_text_is_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = definition(tmp_path, DEFAULT, HOURLY, WORK)

    assert main(["schedule", path, "--activated", "2026-03-01T10:00:00", "--count", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "RUNS AT              START                END                  OF",
        "2026-03-01T11:00:00  2026-03-01T10:00:00  2026-03-01T11:00:00  Hourly",
    ]


def test_an_on_demand_pipeline_runs_once_as_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = definition(tmp_path, {"id": "Default", "scheduleType": "ondemand"}, WORK)

    assert main(["schedule", path, "--activated", "2026-03-01T10:00:00", "--format", "json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["object"], entry["runsAt"]) == ("Default", "2026-03-01T10:00:00")


def test_without_a_moment_of_activation_it_is_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schedule", definition(tmp_path, DEFAULT, HOURLY, WORK)]) == 0
    assert "Hourly" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("period", "message"),
    [
        ("15 Period", "object 'Hourly', field 'period': found '15 Period'"),
        ("#{myP}", "field 'period': 'Hourly' has no field 'myP'"),
    ],
)
def test_a_wrong_schedule_is_one_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], period: str, message: str
) -> None:
    path = definition(tmp_path, DEFAULT, {**HOURLY, "period": period}, WORK)

    assert main(["schedule", path]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--count", "0"], ["--activated", "noon"], ["--format", "x"]]
)
def test_a_wrong_command_line_is_exit_2(tmp_path: Path, arguments: list[str]) -> None:
    assert main(["schedule", definition(tmp_path, DEFAULT, HOURLY, WORK), *arguments]) == 2
