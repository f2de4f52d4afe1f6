"""The agent's command line: what it says and how it exits when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from taskrunner.config.settings import SETTINGS
from tests.integration.agent_harness import (
    PATIENCE_S,
    FakeService,
    running_agent,
    task_json,
    wait_for,
)


def _run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
    env |= {"TASKRUNNER_ALLOW_ROOT": "true", **environ}
    env.setdefault("HOME", "/nonexistent")
    argv = [sys.executable, "-m", "taskrunner", *arguments]
    return subprocess.run(
        argv, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
def test_the_agent_does_not_run_tasks_as_root_unless_told_to() -> None:
    ended = _run("--worker-group", "g", TASKRUNNER_ALLOW_ROOT="false")
    assert ended.returncode == 2
    assert "tasks of the worker group 'g' would run as root" in ended.stderr
    assert ended.stderr.rstrip().endswith("if root is really meant, give --allow-root")


def test_help_has_every_setting_with_its_variable() -> None:
    shown = " ".join(_run("agent", "--help", COLUMNS="200").stdout.split())
    for setting in SETTINGS:
        for name in (setting.flag, *setting.aliases, f"${setting.variables[0]}"):
            assert name in shown, name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tasks", "4"], "no worker group is named"),
        (["--worker-group", "g", "--tasks", "x"], "--tasks: found 'x', wanted a whole number"),
        (["--worker-group", "g", "--endpoint", "ftp://x"], "--endpoint: found 'ftp://x'"),
        (["--worker-group", "g", "--work-dir", "/proc/no"], "work folder /proc/no: cannot be"),
        (["--worker-group", "g", "--config", "/no.toml"], "/no.toml: there is no such"),
        (["--worker-group", "g", "--database", "Db=foo://h/d"], "there is no driver for 'foo'"),
        (["--worker-group", "g", "--run-as-user", "no-such"], "this host has no user 'no-such'"),
        (["--worker-group", "g", "--access-id", "x"], "set both access_id and secret_key"),
        (["--workerGroup=g", "--proxyDomain=x"], "NTLM proxies are not supported"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_2(arguments: list[str], message: str) -> None:
    ended = _run(*arguments)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert ended.stdout == ""


def test_an_unknown_flag_is_exit_2() -> None:
    ended = _run("--worker-group", "g", "--no-such-flag")
    assert ended.returncode == 2
    assert "--no-such-flag" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_authorization_error_ends_the_agent_with_77(
    service: FakeService, tmp_path: Path
) -> None:
    service.refuse_all = True
    with running_agent(service, tmp_path) as agent:
        assert agent.wait() == 77
        assert "not authorized" in agent.log
        assert "AccessDeniedException" in agent.log
        assert "Traceback" not in agent.log


def test_a_service_that_is_down_is_told_once_and_waited_for(
    service: FakeService, tmp_path: Path
) -> None:
    service.down.add("PollForTask")
    with running_agent(service, tmp_path) as agent:
        wait_for("the warning", lambda: "no answer; will keep trying" in agent.log)
        service.down.clear()
        service.tasks.put(task_json("t1", "true"))
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
        assert agent.log.count("no answer; will keep trying") == 1
        assert "the service answers again" in agent.log


def test_where_it_polls_is_told_once_and_only_after_an_answer(
    service: FakeService, tmp_path: Path
) -> None:
    told = "the service answers: polling for tasks"
    service.down.update(("PollForTask", "ReportTaskRunnerHeartbeat"))
    with running_agent(service, tmp_path) as agent:
        wait_for("the warning", lambda: "no answer; will keep trying" in agent.log)
        assert told not in agent.log
        service.down.clear()
        wait_for("the word", lambda: told in agent.log)
        service.tasks.put(task_json("t1", "true"))
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
        lines = [json.loads(line) for line in agent.log.splitlines() if told in line]
        assert [(line["service"], line["worker_groups"]) for line in lines] == [
            (service.url, ["wg"])
        ]


def test_two_agents_cannot_share_a_work_folder(service: FakeService, tmp_path: Path) -> None:
    with running_agent(service, tmp_path) as agent:
        service.wait("a poll", lambda: service.calls("PollForTask"))
        ended = _run(
            *("--worker-group", "g", "--endpoint", service.url),
            *("--work-dir", str(agent.work_dir)),
        )
    assert ended.returncode == 2
    assert "in use by another agent" in ended.stderr


def test_old_flags_and_the_credentials_file_work(service: FakeService, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials.json"
    credentials.write_text('{"access-id": "AKID", "private-key": "k", "worker-group": "of-file"}')
    options = ["--config", str(credentials), "--workerGroup=wg", f"--logUri=file://{tmp_path}/l"]
    with running_agent(service, tmp_path, *options, "--taskrunnerId=runner-7"):
        service.tasks.put(task_json("t1", "echo hello"))
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
        assert service.calls("PollForTask")[0]["workerGroup"] == "wg"
        service.wait("a heartbeat", lambda: service.calls("ReportTaskRunnerHeartbeat"))
        beat = service.calls("ReportTaskRunnerHeartbeat")[0]
        assert beat["taskrunnerId"] == "runner-7"
    assert list((tmp_path / "l").rglob("StdOutput.gz"))


def test_a_secret_on_the_command_line_is_warned_of(service: FakeService, tmp_path: Path) -> None:
    options = ["--accessId", "AKID", "--secretKey", "hush"]
    with running_agent(service, tmp_path, *options) as agent:
        service.wait("a poll", lambda: service.calls("PollForTask"))
        assert "warning: --secret-key: a secret on the command line" in agent.log
        assert "hush" not in agent.log


def test_an_idle_agent_is_small(service: FakeService, tmp_path: Path) -> None:
    import psutil

    with running_agent(service, tmp_path) as agent:
        service.wait("a poll", lambda: service.calls("PollForTask"))
        service.tasks.put(task_json("t1", "true"))
        service.verdict("t1")
        process = psutil.Process(agent.process.pid)
        parts = [process, *process.children(recursive=True)]
        # What they share is counted once: one of them is forked and waits for work.
        total = sum(part.memory_full_info().pss for part in parts)
        assert total < 50 * 2**20
        loaded = process.memory_maps()
        assert not [m.path for m in loaded if "psycopg" in m.path or "sqlalchemy" in m.path]
