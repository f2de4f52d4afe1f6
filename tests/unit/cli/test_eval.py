from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskrunner.cli import main

DEFINITION = {
    "objects": [
        {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "Daily"}},
        {
            "id": "Daily",
            "type": "Schedule",
            "period": "1 day",
            "startDateTime": "2026-02-13T02:00:00",
        },
        {
            "id": "Work",
            "type": "ShellCommandActivity",
            "command": "ls",
            "myList": ["one", "two"],
            "output": {"ref": "Out"},
            "onFail": {"ref": "Alarm"},
        },
        {
            "id": "Out",
            "type": "S3DataNode",
            "directoryPath": "s3://b/#{format(@scheduledStartTime,'dd')}",
        },
        {"id": "Alarm", "type": "SnsAlarm"},
    ],
    "parameters": [
        {"id": "myCount", "type": "Integer", "default": "2"},
        {"id": "*mySecret", "type": "String"},
    ],
    "values": {"*mySecret": "x"},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "definition.json"
    found.write_text(json.dumps(DEFINITION))
    return found


def run(path: Path, *arguments: str, object_id: str = "Work") -> int:
    return main(["eval", "--definition", str(path), "--object", object_id, *arguments])


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["1 + 2"], "3\n"),
        (["#{1 + 2}"], "3\n"),
        (["a #{myCount + 1} b"], "a 3 b\n"),
        (["--param", "myCount=40", "myCount + 2"], "42\n"),
        (["*mySecret"], "x\n"),
        (["'this is ' + myList"], "this is one\nthis is two\n"),
        (["--scheduled-start", "2026-02-13T02:00:00", "output.directoryPath"], "s3://b/13\n"),
        (
            ["--scheduled-start", "2026-02-13T02:00:00", "@scheduledEndTime"],
            "2026-02-14T02:00:00\n",
        ),
        (
            [
                "--scheduled-start",
                "2026-02-13",
                "--scheduled-end",
                "2026-03-01",
                "@scheduledEndTime",
            ],
            "2026-03-01T00:00:00\n",
        ),
    ],
)
def test_the_value_is_printed(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], printed: str
) -> None:
    assert run(path, *arguments) == 0

    assert capsys.readouterr() == (printed, "")


def test_node_is_the_object_that_has_the_alarm(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["--scheduled-start", "2026-02-13T02:00:00"]

    assert run(path, *start, "node.id + node.@scheduledStartTime", object_id="Alarm") == 0
    assert capsys.readouterr().out == "Work2026-02-13T02:00:00\n"


def test_a_mistake_is_shown_where_it_is(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(path, "echo\nday #{dya(1)}") == 1

    assert capsys.readouterr().err.splitlines() == [
        "taskrunner: no function 'dya'; did you mean 'day'? (at column 12)",
        "  day #{dya(1)}",
        "        ^",
    ]


@pytest.mark.parametrize(
    ("arguments", "object_id", "message"),
    [
        (["1"], "Wrok", "has no object 'Wrok'; did you mean 'Work'?"),
        (["--param", "myCount", "1"], "Work", "--param: found a word without an id or ="),
        (["--scheduled-start", "noon", "1"], "Work", "found 'noon', wanted a date and time"),
    ],
)
def test_a_wrong_command_line_is_exit_2(
    path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    object_id: str,
    message: str,
) -> None:
    assert run(path, *arguments, object_id=object_id) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_there_is_exit_2_and_one_that_is_no_definition_exit_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text("{")

    assert run(tmp_path / "none.json", "1") == 2
    assert run(tmp_path / "bad.json", "1") == 1
    assert run(tmp_path, "1") == 2
    errors = capsys.readouterr().err
    assert "none.json: cannot be read: No such file or directory" in errors
    assert "bad.json:1:" in errors
