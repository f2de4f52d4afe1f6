from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from taskrunner.cli import main
from taskrunner.cli.status import render

STATUS: dict[str, Any] = {
    "version": "1.2",
    "pid": 7,
    "phase": "running",
    "started": "2026-02-13T02:00:00Z",
    "uptime_s": 90061.2,
    "endpoint": "https://e",
    "taskrunner_id": "id",
    "work_dir": "/w",
    "slots": {"total": 4, "busy": 1},
    "paused": [{"by": "operator", "why": "disks", "since": "2026-02-13T03:00:00Z"}],
    "tasks": [
        {
            "pipeline_id": "df-1",
            "attempt_id": "@a",
            "type": "CopyActivity",
            "since": "2026-02-13T03:00:00Z",
            "elapsed_s": 61.0,
            "state": "running",
            "progress": {"rows": "7", "attemptStatus": "rows 7"},
        }
    ],
    "polls": {
        "g": {
            "outcome": "unreachable",
            "at": "",
            "age_s": 0.2,
            "error": "refused",
            "asking_s": 3.0,
        },
        "h": {"outcome": "none yet"},
    },
    "verdicts_unsent": 2,
    "logs_queued": 3,
    "logs_kept": {"attempts": 7, "bytes": 3 << 19},
    "disk": {"free_bytes": 5 << 20, "total_bytes": 9 << 20, "floor_bytes": 1 << 20},
    "live": "ok",
    "ready": "paused by operator: disks",
}


def test_a_person_reads_it_in_a_few_lines() -> None:
    assert list(render(STATUS)) == [
        "agent    taskrunner 1.2, process 7, up 1 d 1 h since 2026-02-13T02:00:00Z",
        "service  https://e as id",
        "phase    running",
        "         paused by operator since 2026-02-13T03:00:00Z: disks",
        "ready    no: paused by operator: disks",
        "slots    1 of 4 busy",
        "tasks    df-1 @a (CopyActivity), running, 1 min 1 s: rows 7",
        "polls    g: asked 3 s ago, last answer 0 s ago: unreachable: refused",
        "         h: no answer yet",
        "unsent   2 verdicts, 3 log files",
        "kept     logs of 7 attempts, 1.5 MB",
        "disk     5.0 MB free of 9.0 MB for /w; no task below 1.0 MB",
    ]


@pytest.mark.parametrize("command", ["status", "pause", "resume", "drain"])
def test_without_an_agent_the_exit_code_is_3(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--work-dir", str(tmp_path)]) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"no agent is running with the work folder {tmp_path}" in printed.err


def test_programs_are_told_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--format", "json", "--work-dir", str(tmp_path)]) == 3
    assert json.loads(capsys.readouterr().out) == {
        "running": False,
        "work_dir": str(tmp_path),
        "units": {},
    }


def test_the_work_folder_may_come_from_a_file_in_which_other_things_are_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "t.toml"
    file.write_text(f'work_dir = "{tmp_path}/elsewhere"\ntasks = 0\n')
    assert main(["status", "--config", str(file)]) == 3
    assert f"{tmp_path}/elsewhere" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "pause", "resume", "drain"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no such configuration file"),
        ("tasks = ", "not valid TOML"),
        ('work_dri = "/var/lib/taskrunner/instances/blue"\n', "did you mean 'work_dir'?"),
        ("work_dir = 7\n", "work_dir: found 7"),
    ],
)
def test_where_the_file_does_not_say_which_agent_is_meant_none_is_asked(
    command: str,
    content: str | None,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "blue.toml"
    if content is not None:
        file.write_text(content)
    assert main([command, "--config", str(file)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "not known which agent is meant: mend that, or give --work-dir" in error
    monkeypatch.setenv("TASKRUNNER_CONFIG", str(file))
    assert main([command]) == 2
    capsys.readouterr()
    assert main([command, "--work-dir", str(tmp_path)]) == 3
    assert f"no agent is running with the work folder {tmp_path}" in capsys.readouterr().err
