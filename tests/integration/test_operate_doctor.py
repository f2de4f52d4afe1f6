"""`taskrunner doctor` before a service that answers, refuses, or is not there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.integration.agent_harness import FakeService
from tests.local_runs import command_here


def _doctor(folder: Path, *arguments: str, **environ: str) -> tuple[int, dict[str, dict[str, Any]]]:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "doctor-secret-key",
        "AWS_EC2_METADATA_DISABLED": "true",
        **environ,
    }
    argv = ["doctor", "--format", "json", "--work-dir", str(folder / "work"), *arguments]
    ended = command_here(*argv, environ=env)
    assert "Traceback" not in ended.stderr
    assert "doctor-secret-key" not in ended.stdout + ended.stderr
    checks = json.loads(ended.stdout)["checks"]
    assert all(check["remedy"] for check in checks if check["result"] == "FAIL")
    return ended.returncode, {check["name"]: check for check in checks}


def _failures(checks: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name, check in checks.items() if check["result"] == "FAIL"]


def test_a_host_on_which_all_is_well(service: FakeService, tmp_path: Path) -> None:
    (tmp_path / "s3" / "bucket").mkdir(parents=True)
    code, checks = _doctor(
        tmp_path,
        *("--worker-group", "wg", "--endpoint", service.url),
        *("--log-uri", "s3://bucket/logs", "--s3-root", str(tmp_path / "s3")),
    )
    assert (code, _failures(checks)) == (0, [])
    assert "access key AKID...MPLE, found by env" in checks["credentials"]["found"]
    assert checks["clock"]["result"] == "PASS"
    assert checks["PollForTask"]["result"] == "PASS"
    groups = [body["workerGroup"] for body in service.calls("PollForTask")]
    assert "wg" not in groups, "a task could have been taken"
    assert service.programs == {"taskrunner-doctor"}, "a service of ours took it for a runner"


def test_credentials_without_a_permission(service: FakeService, tmp_path: Path) -> None:
    service.refuse_all = True
    code, checks = _doctor(tmp_path, "--worker-group", "wg", "--endpoint", service.url)
    calls = ["ReportTaskRunnerHeartbeat", "ReportTaskProgress", "SetTaskStatus", "PollForTask"]
    assert (code, _failures(checks)) == (1, calls)
    assert "allow datapipeline:SetTaskStatus" in checks["SetTaskStatus"]["remedy"]


def test_a_service_that_is_not_there_and_a_proxy_that_is_not(tmp_path: Path) -> None:
    arguments = ["--worker-group", "wg", "--endpoint", "http://127.0.0.1:9"]
    code, checks = _doctor(tmp_path, *arguments)
    assert (code, _failures(checks)) == (1, ["endpoint"])
    assert "connection refused" in checks["endpoint"]["found"]
    aws = ["--worker-group", "wg", "--region", "us-east-1"]
    code, checks = _doctor(tmp_path, *aws, HTTPS_PROXY="http://u:doctor-secret-key@127.0.0.1:9")
    assert (code, _failures(checks)) == (1, ["proxy"])
    assert "mend HTTPS_PROXY" in checks["proxy"]["remedy"]
    assert checks["permissions"]["result"] == "WARN"


def test_without_a_worker_group_all_else_is_looked_at(service: FakeService, tmp_path: Path) -> None:
    code, checks = _doctor(tmp_path, "--endpoint", service.url, "--poll")
    assert (code, _failures(checks)) == (1, ["settings"])
    assert "no worker group is named" in checks["settings"]["found"]
    assert checks["PollForTask"]["result"] == checks["disk"]["result"] == "PASS"


def test_half_an_access_key_is_not_replaced_by_another(tmp_path: Path) -> None:
    code, checks = _doctor(tmp_path, "--worker-group", "wg", "--access-id", "AKIDEXAMPLE")
    assert (code, list(checks)) == (1, ["settings", "the rest"])


def test_wrong_settings_are_all_told(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text("tasks = 0\nregions = 1\n")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    ended = command_here("doctor", "--config", str(file), environ=environ)
    assert ended.returncode == 1
    lines = ended.stdout.splitlines()
    assert sum(line.startswith("FAIL  settings: ") for line in lines) == 3
    assert any(
        f"{file}:2: unknown setting 'regions'; did you mean 'region'?" in line for line in lines
    )
