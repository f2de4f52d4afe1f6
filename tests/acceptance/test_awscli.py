"""The AWS CLI, unchanged, against a service that runs."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.served_process import Served, served
from tests.local_runs import aws_here

DEFINITION = {
    "objects": [
        {"id": "Default", "name": "Default", "scheduleType": "ondemand", "workerGroup": "g"},
        {
            "id": "Say",
            "name": "Say",
            "type": "ShellCommandActivity",
            "command": "echo #{myWord}",
        },
    ],
    "parameters": [{"id": "myWord", "type": "String"}],
    "values": {"myWord": "hello"},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), "--no-auth") as running:
        yield running


def run(service: Served, *arguments: str) -> subprocess.CompletedProcess[str]:
    # By the variable, as the service itself tells its users.
    environ = {**os.environ, "AWS_ENDPOINT_URL_DATA_PIPELINE": service.url, "AWS_PAGER": ""}
    return aws_here("datapipeline", *arguments, environ=environ)


def aws(service: Served, *arguments: str) -> Any:
    done = run(service, *arguments, "--output", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.mark.slow
def test_a_pipeline_by_the_command_line_alone(service: Served, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps(DEFINITION))
    made = aws(service, "create-pipeline", "--name", "n", "--unique-id", "u")["pipelineId"]
    pipeline = ("--pipeline-id", made)

    checked = aws(
        service,
        "validate-pipeline-definition",
        *pipeline,
        *("--pipeline-objects", json.dumps([{"id": "x", "name": "x", "fields": []}])),
    )
    assert "errored" in checked
    put = aws(
        service, "put-pipeline-definition", *pipeline, "--pipeline-definition", f"file://{file}"
    )
    assert put["errored"] is False
    assert aws(service, "get-pipeline-definition", *pipeline) == DEFINITION

    aws(service, "activate-pipeline", *pipeline)
    listed = aws(service, "list-pipelines")["pipelineIdList"]
    assert listed == [{"id": made, "name": "n"}]
    described = aws(service, "describe-pipelines", "--pipeline-ids", made)
    fields = described["pipelineDescriptionList"][0]["fields"]
    assert {"key": "@pipelineState", "stringValue": "SCHEDULED"} in fields

    ids = aws(service, "query-objects", *pipeline, "--sphere", "INSTANCE")["ids"]
    assert len(ids) == 1
    assert ids[0].startswith("@Say_")
    task = aws(service, "poll-for-task", "--worker-group", "g")["taskObject"]
    assert task["attemptId"] == f"{ids[0]}_Attempt=1"
    aws(service, "report-task-progress", "--task-id", task["taskId"])
    # Without an interval, the CLI lists what was started in the last days.
    until = time.monotonic() + 30
    runs = run(service, "list-runs", *pipeline)
    # Its interval ends with the second before: what has begun in this one is not in it yet.
    while ids[0] not in runs.stdout and time.monotonic() < until:
        runs = run(service, "list-runs", *pipeline)
    assert runs.returncode == 0, runs.stderr
    assert ids[0] in runs.stdout, runs.stdout
    assert "RUNNING" in runs.stdout

    aws(service, "deactivate-pipeline", *pipeline, "--cancel-active")
    aws(service, "delete-pipeline", *pipeline)
    gone = run(service, "get-pipeline-definition", *pipeline)
    assert gone.returncode != 0
    assert "PipelineDeletedException" in gone.stderr
