"""What fields do that several types of activities and preconditions share."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.activities.base import Activity
from taskrunner.activities.hadoop import HadoopActivity
from taskrunner.activities.hive import HiveActivity
from taskrunner.activities.pig import PigActivity
from taskrunner.preconditions.shell import ShellCommandPrecondition
from taskrunner.testing import ActivityEnvironment, Ref, new_object, new_task
from tests.unit.activities.engines.host import Host, environment

CONFIGS = (
    new_object("Before", "ShellScriptConfig", {"scriptUri": "s3://b/say", "scriptArgument": "1"}),
    new_object("After", "ShellScriptConfig", {"scriptUri": "s3://b/say", "scriptArgument": "3"}),
)
AROUND = {"preActivityTaskConfig": Ref("Before"), "postActivityTaskConfig": Ref("After")}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(tmp_path, monkeypatch)
    found.program("hive", "printf 2")
    found.program("pig", 'printf 2; cat "${@: -1}" >&2')
    found.program("hadoop", 'printf 2; echo "$@" >&2')
    return found


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    ("activity", "fields"),
    [
        (HiveActivity(), {"hiveScript": "SELECT 1;"}),
        (PigActivity(), {"script": "x = 1;"}),
        (HadoopActivity(), {"jarUri": "/x.jar", "mainClass": "com.example.Main"}),
    ],
)
def test_scripts_run_before_and_after_the_work(activity: Activity, fields: dict[str, str]) -> None:
    with environment("command") as found:
        found.put("s3://b/say", 'printf "$1"')
        found.run(activity, new_task(activity.type, {**fields, **AROUND}, *CONFIGS))
        assert found.stdout == "123"
        assert ("com.example.Main" in found.stderr) == ("mainClass" in fields)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("stage", ["true", "false"])
def test_a_pig_script_is_staged_and_kept(stage: str) -> None:
    node = new_object("In", "S3DataNode", {"directoryPath": "s3://b/in"})
    fields: dict[str, str | Ref] = {
        "script": "out = FILTER ${input1} BY true;",
        "stage": stage,
        "generatedScriptsPath": "s3://b/scripts",
        "input": Ref("In"),
    }
    with environment("command") as found:
        found.run(PigActivity(), new_task("PigActivity", fields, node))
        (kept,) = found.objects.list("s3://b/scripts/")
        assert found.read(kept.uri).decode() in found.stderr
        assert ("LOAD 's3://b/in/'" in found.stderr) == (stage == "true")


@pytest.mark.parametrize(
    "fields", [{"command": 'echo "$1"; echo "$2" >&2'}, {"scriptUri": "s3://b/script"}]
)
def test_a_precondition_has_a_command_or_script_arguments_and_output(
    fields: dict[str, str],
) -> None:
    given = {
        **fields,
        "scriptArgument": ["one", "two"],
        "stdout": "s3://b/out",
        "stderr": "s3://b/err",
    }
    with ActivityEnvironment() as found:
        found.put("s3://b/script", '#!/bin/sh\necho "$1"; echo "$2" >&2\n')
        precondition = ShellCommandPrecondition()
        assert found.check(precondition, new_task("ShellCommandPrecondition", given))
        assert (found.read("s3://b/out"), found.read("s3://b/err")) == (b"one\n", b"two\n")
