"""A real agent as its operators meet it: status, pause, drain, signals, probes, refusals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.integration.agent_harness import (
    AgentProcess,
    FakeService,
    running_agent,
    task_json,
    wait_for,
)
from tests.local_runs import command_here


def _run(agent: AgentProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    return command_here(*arguments, "--work-dir", str(agent.work_dir), environ=env)


def _status(agent: AgentProcess) -> dict[str, Any]:
    ended = _run(agent, "status", "--format", "json")
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def _events(agent: AgentProcess, event: str) -> list[dict[str, Any]]:
    lines = map(json.loads, filter(lambda line: line.startswith("{"), agent.log.splitlines()))
    return [line for line in lines if line["event"] == event]


def _listening(service: FakeService, agent: AgentProcess) -> None:
    service.wait("a poll", lambda: service.calls("PollForTask"))
    wait_for("the control socket", (agent.work_dir / "control.sock").exists)


def test_status_shows_tasks_with_their_progress(service: FakeService, tmp_path: Path) -> None:
    with running_agent(service, tmp_path, "--tasks", "3") as agent:
        service.tasks.put(task_json("t1", "sleep 60"))
        service.wait("progress", lambda: len(service.calls("ReportTaskProgress", "t1")) > 1)
        found = _status(agent)
        assert found["slots"] == {"total": 3, "busy": 1}
        assert (found["phase"], found["paused"], found["ready"]) == ("running", [], "ok")
        (task,) = found["tasks"]
        assert (task["pipeline_id"], task["type"]) == ("df-test", "ShellCommandActivity")
        assert (task["state"], task["elapsed_s"] > 0) == ("running", True)
        assert found["polls"]["wg"]["outcome"] == "task"
        assert found["disk"]["free_bytes"] > 0
        text = _run(agent, "status").stdout
        assert "slots    1 of 3 busy" in text
        assert f"tasks    df-test {task['attempt_id']} (ShellCommandActivity), running" in text
        assert _run(agent, "drain", "--now").returncode == 0
        assert agent.wait() == 0
        assert service.verdict("t1")["errorId"] == "TaskRunner.Interrupted"
    for command in (["status"], ["pause"], ["resume"], ["drain"]):
        assert _run(agent, *command).returncode == 3
    assert not (agent.work_dir / "control.sock").exists()


def test_a_paused_agent_takes_no_task_until_it_is_resumed(
    service: FakeService, tmp_path: Path
) -> None:
    with running_agent(service, tmp_path) as agent:
        _listening(service, agent)
        assert "paused: " in _run(agent, "pause", "--note", "new disks").stdout
        assert _status(agent)["paused"][0]["why"] == "new disks"
        # The poll under way brings one more, which is left to another agent.
        service.tasks.put(task_json("t1", "true"))
        wait_for("the task to be left", lambda: _events(agent, "task left to others"))
        service.tasks.put(task_json("t2", "true"))
        assert "paused by operator" in _run(agent, "status").stdout
        assert service.calls("ReportTaskProgress") == []
        assert "resumed" in _run(agent, "resume").stdout
        assert service.verdict("t2")["taskStatus"] == "FINISHED"
        assert service.calls("ReportTaskProgress", "t1") == []


def test_sigusr1_pauses_and_a_paused_agent_drains(service: FakeService, tmp_path: Path) -> None:
    with running_agent(service, tmp_path) as agent:
        service.tasks.put(task_json("t1", "sleep 1; echo done"))
        service.wait("the task", lambda: service.calls("ReportTaskProgress", "t1"))
        agent.signal(signal.SIGUSR1)
        wait_for("the pause", lambda: _events(agent, "paused: no more tasks are taken"))
        assert service.verdict("t1")["taskStatus"] == "FINISHED", "what ran was to go on"
        assert _run(agent, "drain").returncode == 0
        assert agent.wait() == 0


def test_sighup_takes_over_what_it_can_and_names_what_needs_a_restart(
    service: FakeService, tmp_path: Path
) -> None:
    settings = tmp_path / "t.toml"
    settings.write_text("drain_timeout = 300\ntasks = 2\n")
    with running_agent(service, tmp_path, "--config", str(settings)) as agent:
        _listening(service, agent)
        service.tasks.put(task_json("t1", "sleep 60"))
        service.wait("the task", lambda: service.calls("ReportTaskProgress", "t1"))
        settings.write_text("drain_timeout = 0\ntasks = many\n")
        agent.signal(signal.SIGHUP)
        wait_for("a refusal", lambda: _events(agent, "settings not reloaded: they are wrong"))
        settings.write_text(
            'drain_timeout = 0\ntasks = 3\nlog_level = "warning"\n[group_weights]\nwg = 5\n'
        )
        agent.signal(signal.SIGHUP)
        wait_for("the reload", lambda: "settings reloaded" in agent.log)
        (reloaded,) = _events(agent, "settings reloaded")
        assert reloaded["changed"] == {
            "drain_timeout": "300.0 -> 0.0",
            "log_level": "info -> warning",
            "group_weights": "{} -> {'wg': 5}",
        }
        assert reloaded["need_restart"] == ["tasks"]
        agent.signal(signal.SIGTERM)
        assert agent.wait() == 0
        assert service.verdict("t1")["errorId"] == "TaskRunner.Interrupted", "drained for too long"


def test_a_disk_that_is_nearly_full_stops_polls_until_a_reload_says_otherwise(
    service: FakeService, tmp_path: Path
) -> None:
    settings = tmp_path / "t.toml"
    settings.write_text('min_free_disk = "1000000 TB"\n')
    with running_agent(service, tmp_path, "--config", str(settings)) as agent:
        wait_for("a word", lambda: _events(agent, "agent started"))
        status = wait_for("the status", lambda: _status(agent))
        assert status["paused"][0]["by"] == "disk"
        assert "less than min_free_disk" in status["paused"][0]["why"]
        assert service.calls("PollForTask") == []
        settings.write_text('min_free_disk = "1 MB"\n')
        agent.signal(signal.SIGHUP)
        service.wait("a poll", lambda: service.calls("PollForTask"))
        assert len(_events(agent, "low disk: no more tasks are taken until there is space again"))


def test_probes_and_metrics_are_served_when_asked_for(service: FakeService, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running_agent(service, tmp_path, "--health-listen", str(port)) as agent:
        service.tasks.put(task_json("t1", "exit 3"))
        service.verdict("t1")
        _listening(service, agent)
        ended = 'ended_total{type="ShellCommandActivity",result="FAILED",error_id="CommandFailed"}'
        text = wait_for(
            "the count", lambda: ended in _get(port, "/metrics")[1] and _get(port, "/metrics")[1]
        )
        assert f"taskrunner_tasks_{ended} 1.0" in text
        assert 'taskrunner_polls_total{worker_group="wg",outcome="task"} 1.0' in text
        assert _get(port, "/livez") == (200, "ok\n")
        assert _get(port, "/readyz") == (200, "ok\n")
        assert _run(agent, "pause").returncode == 0
        assert _get(port, "/readyz") == (503, "paused by operator: taskrunner pause\n")


def _get(port: int, path: str) -> tuple[int, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize(
    "operation",
    ["PollForTask", "ReportTaskProgress", "SetTaskStatus", "ReportTaskRunnerHeartbeat"],
)
def test_a_refusal_of_any_one_call_ends_the_agent_with_77(
    service: FakeService, tmp_path: Path, operation: str
) -> None:
    answer = service._answer

    def refuse(
        called: str, body: dict[str, Any], connection: socket.socket
    ) -> tuple[int, dict[str, Any]]:
        if called == operation:
            return 400, {"__type": "AccessDeniedException", "message": "not you"}
        return answer(called, body, connection)

    service._answer = refuse  # type: ignore[method-assign,assignment]
    service.tasks.put(task_json("t1", "true"))
    with running_agent(service, tmp_path, "--lease-timeout", "5") as agent:
        assert agent.wait() == 77
        assert len(_events(agent, "not authorized: the agent ends")) == 1
        assert operation in agent.log
    owed = [] if operation != "SetTaskStatus" else ["t1"]
    found = list((agent.work_dir / "journal").glob("*.jsonl"))
    assert len(found) == len(owed), "only a verdict that may not be told is kept"
    service._answer = answer  # type: ignore[method-assign]
    if owed:
        with running_agent(service, tmp_path):
            assert service.verdict("t1")["taskStatus"] == "FINISHED"
