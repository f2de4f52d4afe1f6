from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskrunner.cli import main

DATABASE = {
    "id": "Db",
    "type": "JdbcDatabase",
    "connectionString": "jdbc:mysql://host/x",
    "jdbcDriverClass": "com.mysql.jdbc.Driver",
    "username": "me",
    "*password": "#{*myPassword}",
}
DEFINITION = {
    "objects": [{"id": "Default", "scheduleType": "ondemand"}, DATABASE],
    "parameters": [{"id": "*myPassword", "type": "String"}],
}


@pytest.mark.parametrize("by_variable", [False, True])
def test_a_redirection_that_cannot_be_used_is_told_before_anything_runs(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    by_variable: bool,
) -> None:
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps(DEFINITION))
    arguments = ["run", str(path), "--work-dir", str(tmp_path / "work")]
    arguments += ["--param", "*myPassword=x"]
    if by_variable:
        monkeypatch.setenv("TASKRUNNER_DATABASES", '{"Db": "foo://x"}')
    else:
        arguments += ["--database", "Db=foo://x"]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "database 'Db': there is no driver for 'foo' on this host; wanted " in said
    assert "mysql://HOST" in said
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    "given",
    [
        "postgresql://me:hush@h/d",
        "postgresql://me:hush@h/d?sslmode=require",
        "postgresql://me:hush@h/d?from=mysql://x",
        "=postgresql://me:hush@h/d",
    ],
)
def test_a_database_whose_id_was_forgotten_is_not_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps(DEFINITION))
    arguments = ["run", str(path), "--work-dir", str(tmp_path / "work"), "--database", given]
    arguments += ["--param", "*myPassword=x"]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "--database: wanted ID=URL, such as Db=postgresql://HOST/NAME" in said
    assert "hush" not in said


def test_a_pulled_definition_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pulled.json"
    path.write_text(json.dumps({**DEFINITION, "values": {"*myPassword": "*****"}}))
    assert main(["run", str(path), "--work-dir", str(tmp_path / "work")]) == 2
    said = capsys.readouterr().err
    assert "[masked-secret]" in said, "a warning says what it is"
    assert "parameter '*myPassword': give its value with --param '*myPassword=VALUE'" in said
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(("where", "told"), [((), True), (("--resources", "ec2"), False)])
def test_fields_without_effect_where_a_resource_runs_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: tuple[str, ...], *, told: bool
) -> None:
    host = {"id": "Host", "type": "Ec2Resource", "instanceType": "m5.large"}
    work = {"id": "A", "type": "ShellCommandActivity", "command": "true", "runsOn": {"ref": "Host"}}
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps({**DEFINITION, "objects": [*DEFINITION["objects"], host, work]}))
    arguments = ["run", str(path), "--work-dir", str(tmp_path / "work"), *where]
    # Nothing is run: the redirection cannot be used.
    assert main([*arguments, "--param", "*myPassword=x", "--database", "Db=foo://x"]) == 2
    said = capsys.readouterr().err
    line = "object 'Host', field 'instanceType': it has no effect here: only an instance that is"
    assert (line in said) is told
