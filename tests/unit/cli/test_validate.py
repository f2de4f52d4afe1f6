from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from taskrunner.cli import main
from tests.unit.model.validate.definitions import GOOD, changed, parameter, put


def write(path: Path, document: object) -> str:
    path.write_text(document if isinstance(document, str) else json.dumps(document, indent=2))
    return str(path)


def test_a_valid_file_exits_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "p.json", changed(put("Daily", startDateTime="2999-01-01T00:00:00")))
    assert main(["validate", path]) == 0
    assert capsys.readouterr().out == f"{path}: valid: 0 errors, 0 warnings\n"


def test_errors_are_printed_with_their_place_and_exit_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = changed(put("Daily", period="often", startDateTime="2999-01-01T00:00:00"))
    path = write(tmp_path / "p.json", document)
    assert main(["validate", path]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{path}:17:7: error: object 'Daily', field 'period': found 'often'")
    assert first.endswith("[bad-period]")
    assert last == f"{path}: not valid: 1 error, 0 warnings"


MACHINES = {("Machine", "imageId"), ("Default", "resourceRole")}
PIG = {"id": "Pig", "type": "PigActivity", "script": "x", "workerGroup": "g"}
HIVE = {
    "id": "Hive",
    "type": "HiveActivity",
    "hiveScript": "x",
    "hadoopQueue": "q",
    "workerGroup": "g",
}


@pytest.mark.parametrize(
    ("target", "code", "told"),
    [
        ("local", 1, {("Pig", "type"), *MACHINES, ("Hive", "hadoopQueue")}),
        ("self-hosted", 0, MACHINES),
        ("aws", 0, set()),
    ],
)
def test_a_target_tells_what_nobody_there_can_run_or_honours(
    target: str,
    code: int,
    told: set[tuple[str, str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = changed(put("Machine", imageId="ami-1"))
    document["objects"].append(PIG)
    document["objects"].append(HIVE)
    path = write(tmp_path / "p.json", document)
    assert main(["validate", path, "--format", "json"]) == 0
    assert main(["validate", path, "--target", target, "--format", "json"]) == code
    printed = capsys.readouterr().out
    report = json.loads(printed[printed.rindex("\n{\n") :])
    assert {f["code"] for f in report["errors"]} <= {"cannot-run"}
    found = [*report["errors"], *(w for w in report["warnings"] if w["code"] == "no-effect")]
    assert {(f["id"], f["field"]) for f in found} == told


def test_rules_tell_which_fields_have_no_effect_where_they_send_a_resource(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    def told(*options: str) -> list[str]:
        assert main(["validate", path, "--format", "json", *options]) == 0
        found = json.loads(capsys.readouterr().out)["warnings"]
        return [warning["field"] for warning in found if warning["code"] == "no-effect"]

    document = changed(
        put("Default", resourceRole=None),
        put("Machine", keyPair="k", attemptTimeout="1 day", resourceRole="r"),
    )
    path = write(tmp_path / "p.json", document)
    assert told() == told("--resources", "ec2") == ["attemptTimeout"]
    machines = ["keyPair", "resourceRole"]
    assert told("--resources", "group=g") == ["attemptTimeout", *machines]
    both = told("--resources", "local", "--target", "local")
    assert sorted(both) == sorted(["attemptTimeout", *machines])


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "p.json", changed(put("Daily", period="1 minute")))
    assert main(["validate", path, "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["valid"] is True
    assert [w["code"] for w in report["warnings"] if w["code"] != "backfill"] == ["limit-period"]
    assert main(["validate", path, "--format", "json", "--aws-limits"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert set(report) == {"valid", "errors", "warnings"}
    assert set(report["errors"][0]) == {"id", "field", "code", "message", "line", "column"}


def test_what_is_not_json_is_one_error_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "p.json", '{"objects": [\n  {"id": "A",}\n]}')
    assert main(["validate", path, "--format", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    [error] = report["errors"]
    assert (error["code"], error["line"], error["column"]) == ("not-json", 2, 13)
    (tmp_path / "p.json").write_bytes(b'{"objects": "\xff"}')
    assert main(["validate", path]) == 1
    assert "[not-utf8]" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["absent.json"],
        ["."],
        ["a\0b"],
        [],
        ["good.json", "--param", "x"],
        ["good.json", "--param", "=x"],
        ["good.json", "--format", "xml"],
        ["good.json", "--values-file", "absent.json"],
        ["good.json", "--parameters-file", "absent.json"],
    ],
)
def test_wrong_usage_exits_with_2(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "good.json", GOOD)
    assert main(["validate", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err


def test_values_come_from_files_and_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = changed(parameter("myWord", default=None), parameter("myCount", default=None))
    path = write(tmp_path / "p.json", document)
    assert main(["validate", path]) == 1
    values = write(tmp_path / "v.json", {"values": {"myWord": "x", "myCount": "7"}})
    assert main(["validate", path, "--values-file", values]) == 1
    assert "[value-not-allowed]" in capsys.readouterr().out
    words = ["--values-file", values, "--param", "myCount=4"]
    assert main(["validate", path, *words]) == 0
    parameters = write(tmp_path / "q.json", {"parameters": [{"id": "myCount", "type": "Integer"}]})
    words = ["--values-file", values, "--parameters-file", parameters]
    assert main(["validate", path, *words]) == 0
    broken = write(tmp_path / "b.json", "{")
    assert main(["validate", path, "--values-file", broken]) == 1


def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = io.TextIOWrapper(io.BytesIO(json.dumps(GOOD).encode()))
    monkeypatch.setattr("sys.stdin", data)
    assert main(["validate", "-"]) == 0
    assert capsys.readouterr().out.startswith("-:1:")


def test_one_of_several_pipelines_of_a_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = {"Type": "AWS::DataPipeline::Pipeline", "Properties": {"PipelineObjects": []}}
    path = write(tmp_path / "t.json", {"Resources": {"A": one, "B": one}})
    assert main(["validate", path]) == 1
    assert "say which" in capsys.readouterr().out
    assert main(["validate", path, "--resource", "B"]) == 0


def test_types_of_installed_plugins_are_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "p.json", changed(put("Shell", type="NobodysActivity")))
    assert main(["validate", path]) == 1
    assert "[unknown-type]" in capsys.readouterr().out
