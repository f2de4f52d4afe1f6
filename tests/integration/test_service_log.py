"""What `taskrunner serve` says in its log, as whoever operates it finds it on stderr."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.served_process import served
from tests.integration.agent_harness import wait_for
from tests.integration.api_calls import call

TOPIC = "arn:aws:sns:us-east-1:123456789012:ops"

OBJECTS: dict[str, dict[str, Any]] = {
    "Default": {"scheduleType": "ondemand", "workerGroup": "wg", "maximumRetries": "0"},
    "A": {"type": "ShellCommandActivity", "command": "false", "onFail": {"ref": "Told"}},
    "Told": {
        "type": "SnsAlarm",
        "role": "arn:aws:iam::123456789012:role/ops",
        "topicArn": TOPIC,
        "subject": "#{node.name} is #{node.@status}",
        "message": "because: #{node.errorMessage}",
    },
}


def failed_pipeline(url: str) -> str:
    """A pipeline whose one task has failed, so that an alarm is due."""
    made: str = call(url, "CreatePipeline", name="p", uniqueId="1")["pipelineId"]
    objects = [
        {"id": name, "name": name, "fields": [api_field(*field) for field in fields.items()]}
        for name, fields in OBJECTS.items()
    ]
    call(url, "PutPipelineDefinition", pipelineId=made, pipelineObjects=objects)
    call(url, "ActivatePipeline", pipelineId=made)
    task = call(url, "PollForTask", workerGroup="wg")["taskObject"]
    call(url, "ReportTaskProgress", taskId=task["taskId"])
    call(
        url,
        "SetTaskStatus",
        taskId=task["taskId"],
        taskStatus="FAILED",
        errorId="CommandFailed",
        errorMessage="exit code 1\n<0>forged",
    )
    return made


def api_field(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"key": key, "refValue": value["ref"]}
    return {"key": key, "stringValue": value}


def lines(folder: Path) -> list[str]:
    """What it says after its first start, which makes a key."""
    said = (folder / "serve.log").read_text().splitlines()
    return [line for line in said if "the store's key was made" not in line]


def alarms_in(folder: Path) -> list[str]:
    return [line for line in lines(folder) if '"event": "alarm"' in line]


@pytest.mark.parametrize("alarms", ["log", "auto"])
def test_an_alarm_that_only_is_logged_is_seen_at_the_default_level(
    tmp_path: Path, alarms: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with served(tmp_path, "--no-auth", "--alarms", alarms) as service:
        made = failed_pipeline(service.url)
        (line,) = wait_for("the alarm", lambda: alarms_in(tmp_path))
    told = json.loads(line)
    assert {key: told[key] for key in told if key not in {"ts", "thread", "instance_id"}} == {
        "level": "warning",
        "event": "alarm",
        "subject": "A is FAILED",
        "message": "because: exit code 1\n<0>forged",
        "topic": TOPIC,
        "pipeline_id": made,
        "action": "Told",
        "on": "onFail",
    }
    assert told["instance_id"].startswith("@A_")


def test_the_forms_are_those_of_the_agent(tmp_path: Path) -> None:
    arguments = ("--no-auth", "--alarms", "log", "--log-format", "text", "--log-level", "debug")
    with served(tmp_path, *arguments) as service:
        failed_pipeline(service.url)
        wait_for("the alarm", lambda: any("subject=" in line for line in lines(tmp_path)))
    warned = [line for line in lines(tmp_path) if "[warning" in line]
    (failed,) = [line for line in warned if "an instance failed" in line]
    (alarm,) = [line for line in warned if line is not failed]
    assert "subject='A is FAILED'" in alarm
    assert [line for line in lines(tmp_path) if "forged" in line] == [alarm]


def test_libraries_speak_in_the_same_form_and_say_nothing_of_every_call(tmp_path: Path) -> None:
    with served(tmp_path, "--no-auth") as service:
        for _ in range(3):
            call(service.url, "ListPipelines")
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"this is not HTTP\r\n\r\n")
            client.recv(1000)
        (line,) = wait_for("what the HTTP server says", lambda: lines(tmp_path))
    told = json.loads(line)
    assert (told["level"], told["logger"]) == ("warning", "uvicorn.error")
