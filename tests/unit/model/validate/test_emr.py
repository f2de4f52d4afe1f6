from __future__ import annotations

from typing import Any

import pytest

from tests.unit.model.validate.definitions import add, changed, report_on


def _warnings(**fields: Any) -> list[tuple[str, str | None]]:
    change = add(id="E", **{"type": "EmrActivity", "workerGroup": "g", **fields})
    jar = {"id": "myJar", "type": "String", "default": "nothing of a jar"}
    document = changed(change, lambda given: given["parameters"].append(jar))
    report = report_on(document)
    assert report.errors == ()
    return [(finding.code, finding.field) for finding in report.warnings if finding.id == "E"]


@pytest.mark.parametrize(
    "step",
    [
        "s3://b/x.jar,com.example.Main",
        "#{myWord},com.example.Main",
        "command-runner.jar,hive-script,#{myWord}",
        ["command-runner.jar,true", "/x.jar"],
    ],
)
def test_steps_that_can_be_read_or_judged_only_later_are_not_told(step: str | list[str]) -> None:
    assert _warnings(step=step) == []


def test_a_parameter_that_is_the_whole_step_is_judged() -> None:
    assert _warnings(step="#{myJar}") == [("bad-step", "step")]


def test_each_bad_step_is_told() -> None:
    assert _warnings(step=["a", "/x.jar", "b"]) == [("bad-step", "step")] * 2


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"jarUri": "s3://b/x.jar", "argument": ["a", "b"]}, []),
        ({"jarUri": "#{@pipelineId}"}, []),
        ({"jarUri": "x.jar"}, [("bad-step", "jarUri")]),
        (
            {"jarUri": "/hadoop-streaming.jar", "argument": ["-input", "x"]},
            [("bad-step", "jarUri")],
        ),
        ({"jarUri": "/hadoop-streaming.jar", "argument": ["#{@pipelineId}"]}, []),
        ({"jarUri": "/x.jar", "mainClass": "org.x.DynamoDBExport"}, [("bad-step", "jarUri")]),
        ({"jarUri": "/x.jar", "mainClass": "org.x.Main"}, []),
    ],
)
def test_the_call_of_a_jar_is_judged_when_all_of_it_is_known(
    fields: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    assert _warnings(type="HadoopActivity", **fields) == found


@pytest.mark.parametrize("kind", ["HiveActivity", "PigActivity"])
def test_variables_have_names_and_values(kind: str) -> None:
    script = {"HiveActivity": "hiveScript", "PigActivity": "script"}[kind]
    given = ["A=1", "B=#{myWord}", "#{myWord}=x", " C =", "D", "=E"]
    found = _warnings(type=kind, scriptVariable=given, **{script: "x"})
    assert found == [("bad-variable", "scriptVariable")] * 2
