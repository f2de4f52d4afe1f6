from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from taskrunner.cli import main
from taskrunner.cli.leaving.folders import write_folder
from taskrunner.model.leaving.manifest import Manifest
from tests.unit.model.leaving.definitions import definition, shell

ON_DEMAND = {"id": "Default", "name": "Default", "scheduleType": "ondemand"}
RULE = '[[resources]]\ntype = "Ec2Resource"\npipeline = "on-ec2"\nrun = "group=big"\n'


DATABASE = {
    "id": "Db",
    "name": "Db",
    "type": "RdsDatabase",
    "username": "me",
    "*password": "*****",
    "rdsInstanceId": "x",
}


def on_ec2(*more: dict[str, Any]) -> list[dict[str, Any]]:
    machine = {"id": "M", "name": "M", "type": "Ec2Resource"}
    return [ON_DEMAND, machine, shell(command="true", runsOn={"ref": "M"}), *more]


@pytest.fixture
def account(tmp_path: Path) -> Path:
    found = {
        "as-is": [ON_DEMAND, shell(command="true", workerGroup="wg")],
        "on-ec2": on_ec2(),
        "secret": [ON_DEMAND, shell(command="true", workerGroup="wg"), DATABASE],
        "both": on_ec2(DATABASE),
        "broken": [ON_DEMAND, shell(workerGroup="wg")],
        "no-runner": [ON_DEMAND, shell(command="true")],
    }
    for name, objects in found.items():
        write_folder(tmp_path / "all" / name, Manifest(name=name), definition(*objects))
    (tmp_path / "all" / "no-json").mkdir()
    (tmp_path / "all" / "no-json" / "manifest.json").write_text('{"name": "no-json"}')
    (tmp_path / "all" / "no-json" / "pipeline.json").write_text("{")
    return tmp_path / "all"


def verdicts(
    account: Path, capsys: pytest.CaptureFixture[str], *options: str, code: int = 1
) -> dict[str, str]:
    assert main(["assess", str(account), "--format", "json", *options]) == code
    found = json.loads(capsys.readouterr().out)["pipelines"]
    return {row["name"]: row["verdict"] for row in found}


def test_each_verdict(account: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verdicts(account, capsys) == {
        "as-is": "runs as is",
        "on-ec2": "needs a rule",
        "secret": "needs a secret",
        "both": "needs a rule and a secret",
        "broken": "cannot run",
        "no-runner": "cannot run",
        "no-json": "cannot run",
    }


def test_rules_and_secrets_that_are_given_are_not_missing(
    account: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rules, secrets = tmp_path / "rules.toml", tmp_path / "secrets.json"
    rules.write_text(RULE)
    secrets.write_text('{"*": {"Db/*password": "hush"}}')
    secrets.chmod(0o600)
    found = verdicts(account, capsys, "--resources", str(rules), "--secrets", str(secrets))
    assert (found["on-ec2"], found["secret"], found["both"]) == (
        "runs as is",
        "runs as is",
        "needs a rule",
    )
    for name in ("broken", "no-runner", "no-json"):
        for file in (account / name).iterdir():
            file.unlink()
        (account / name).rmdir()
    both = ("--resources", "local", "--secrets", str(secrets))
    assert set(verdicts(account, capsys, *both, code=0).values()) == {"runs as is"}


def test_the_table_says_what_is_needed_and_why_something_cannot_run(
    account: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["assess", str(account)]) == 1
    out, err = capsys.readouterr()
    (row,) = [line for line in out.splitlines() if line.startswith("both ")]
    assert "needs a rule and a secret" in row
    assert "Ec2Resource:M" in row
    assert "Db/*password" in row
    assert "broken: cannot run: object 'A', field 'command'" in out
    assert "no-json: cannot run: " in out
    assert "7 pipelines: 1 runs as is, 1 needs a rule" in err
