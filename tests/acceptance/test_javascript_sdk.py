"""AWS's SDK for JavaScript, as npm has it, makes each of the API's calls."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from taskrunner.wire.operations import OPERATIONS
from tests.acceptance.served_process import served

FOLDER = Path(__file__).parents[1] / "javascript"
KEYS = """
[[keys]]
id = "AKSCRIPT"
secret = "script-secret-script-secret"
role = "admin"
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each call was answered, by its name, and what was said of those that are refused."""
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules").exists():
        pytest.skip("the SDK is not installed (scripts/install-servers dynalite)")
    folder = tmp_path_factory.mktemp("served")
    keys = folder / "keys.toml"
    keys.touch(0o600)
    keys.write_text(KEYS)
    with served(folder, "--credentials-file", str(keys)) as service:
        done = subprocess.run(
            [node, "drive.mjs", service.url, "AKSCRIPT", "script-secret-script-secret"],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def values(described: dict[str, Any]) -> dict[str, str]:
    return {f["key"]: f.get("stringValue", f.get("refValue")) for f in described["fields"]}


def test_each_of_the_calls_is_made_and_understood(seen: dict[str, Any]) -> None:
    assert seen.keys() >= OPERATIONS.keys()
    made = seen["CreatePipeline"]["pipelineId"]
    for check in ("ValidatePipelineDefinition", "PutPipelineDefinition"):
        assert seen[check]["errored"] is False, seen[check]
    got = seen["GetPipelineDefinition"]
    assert [obj["id"] for obj in got["pipelineObjects"]] == ["Default", "Say"]
    assert got["parameterValues"] == [{"id": "myWord", "stringValue": "grüß"}]
    (described,) = seen["DescribePipelines"]["pipelineDescriptionList"]
    assert described["tags"] == [{"key": "second", "value": ""}]
    assert values(described)["@pipelineState"] == "PENDING"
    assert [found["id"] for found in seen["ListPipelines"]["pipelineIdList"]] == [made]
    assert seen["EvaluateExpression"] == {"evaluatedExpression": "echo grüß"}
    assert seen["ReportTaskRunnerHeartbeat"] == {"terminate": False}


def test_a_task_is_worked_on(seen: dict[str, Any]) -> None:
    task = seen["PollForTask"]["taskObject"]
    assert values(task["objects"][task["attemptId"]])["command"] == "echo grüß"
    assert seen["ReportTaskProgress"] == {"canceled": False}
    assert seen["SetTaskStatus"] == {}
    (instance,) = seen["QueryObjects"]["ids"]
    (shown,) = seen["DescribeObjects"]["pipelineObjects"]
    assert shown["id"] == instance == task["attemptId"].partition("_Attempt=")[0]
    # It is to be tried once more.
    assert values(shown)["@status"] == "WAITING_FOR_RUNNER"


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("wrong", "InvalidRequestException"),
        ("no pipeline", "PipelineNotFoundException"),
        ("no task", "TaskNotFoundException"),
        ("deleted", "PipelineDeletedException"),
    ],
)
def test_what_is_refused_has_the_sdks_own_class(
    seen: dict[str, Any], label: str, name: str
) -> None:
    assert seen[label]["name"] == name
    assert seen[label]["message"]
    assert (seen[label]["known"], seen[label]["fault"]) == (True, "client")
