"""What --resources says, as `serve`, `run` and `validate` read it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from taskrunner.cli import EXIT_USAGE, main
from taskrunner.cli.resource_rules import given_rules
from taskrunner.errors import ConfigError, UsageError

RULES = '[[resources]]\ntype = "EmrCluster"\nrun = "group=hadoop"\n'
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("text", ["local", "none", "group=prod"])
def test_one_place_is_for_all(text: str) -> None:
    (rule,) = given_rules(text).rules
    assert (str(rule.target), rule.matches_all, rule.origin) == (text, True, "--resources")


def test_a_file_has_rules(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text(RULES)
    (rule,) = given_rules(str(tmp_path / "rules")).rules
    assert str(rule) == f"{tmp_path / 'rules'}:1 (group=hadoop)"


def test_the_example_is_right_and_takes_everything() -> None:
    rules = given_rules(str(REPOSITORY / "examples" / "resources.toml"))
    assert rules.match_all
    assert len(rules.rules) == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("emr-serverless", "--resources: found 'emr-serverless', wanted emr-serverless=ID"),
        ("spark=mesos://h:7077", "wanted spark=MASTER"),
        ("group=", "--resources: found 'group=', wanted group=NAME, the name"),
        (
            "groop",
            "--resources: found 'groop', wanted group=NAME, local, ec2, emr, emr-serverless=ID",
        ),
    ],
)
def test_what_is_neither_is_told(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        given_rules(text)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for name in (tmp_path / "none", "none.toml"):
        with pytest.raises(ConfigError, match=f"--resources .*{name}: there is no such file"):
            given_rules(str(name))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        given_rules(str(tmp_path))
    (tmp_path / "latin").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        given_rules(str(tmp_path / "latin"))


# -- serve ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--resources", "spark"), "found 'spark', wanted spark=MASTER"),
        (("--run-as-user", "nobody"), "--resources starts none"),
        (("--resources", "group=x", "--tasks-as-service-user"), "--resources starts none"),
    ],
)
def test_serve_refuses_before_it_listens(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert main(["serve", "--no-auth", "--listen", "127.0.0.1:0", *options]) == EXIT_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


# -- validate -------------------------------------------------------------------------------


@pytest.fixture
def definition(tmp_path: Path) -> str:
    path = tmp_path / "daily.json"
    objects = [
        {"id": "Default", "name": "Default", "scheduleType": "ondemand", "role": "r"},
        {"id": "Host", "type": "Ec2Resource", "resourceRole": "r", "role": "r"},
        {"id": "Cluster", "type": "EmrCluster", "resourceRole": "r", "role": "r"},
        {"id": "Idle", "type": "Ec2Resource", "resourceRole": "r", "role": "r"},
        *(
            {"id": key, "type": "ShellCommandActivity", "command": "x", "runsOn": {"ref": where}}
            for key, where in (("A", "Host"), ("B", "Cluster"))
        ),
    ]
    path.write_text(json.dumps({"objects": objects}))
    return str(path)


def test_validate_says_which_rule_takes_what_and_what_none_does(
    definition: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    assert main(["validate", definition, "--resources", str(rules)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"EmrCluster 'Cluster' runs: group=hadoop, by {rules}:1" in lines
    warnings = [line for line in lines if line.endswith("[resource-nowhere]")]
    assert len(warnings) == 1
    assert "where Ec2Resource 'Host' of pipeline 'daily' runs" in warnings[0]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ((), 2),
        (("--pipeline-name", "nightly"), 2),
        (("--pipeline-name", "nightly", "--tag", "team=data"), 0),
    ],
)
def test_validate_knows_name_and_tags_if_it_is_told(
    definition: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    count: int,
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[resources]]\npipeline = "nightly"\ntag = "team=data"\nrun = "local"\n')
    main(["validate", definition, "--resources", str(rules), "--format", "json", *options])
    report = json.loads(capsys.readouterr().out)
    found = [item for item in report["warnings"] if item["code"] == "resource-nowhere"]
    assert len(found) == count


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tag", "a=b"), "--pipeline-name and --tag are for --resources"),
        (("--resources", "local", "--tag", "a"), "--tag: found 'a', wanted KEY=VALUE"),
        (("--resources", "x.toml"), "there is no such file"),
    ],
)
def test_validate_tells_wrong_options(
    definition: str,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    said: str,
) -> None:
    assert main(["validate", definition, *options]) == EXIT_USAGE
    assert said in capsys.readouterr().err


# -- run ------------------------------------------------------------------------------------


def test_run_refuses_what_nobody_would_start(
    definition: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = str(tmp_path / "work")
    for where, whom in (("none", "somebody else"), ("ec2", "an instance")):
        assert main(["run", definition, "--work-dir", work, "--resources", where]) == EXIT_USAGE
        said = f"--resources ({where}) leaves the agent for Ec2Resource 'Host' to {whom}"
        assert said in capsys.readouterr().err


def test_run_makes_no_cluster_that_nobody_would_look_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.json"
    cluster = {"id": "C", "type": "EmrCluster"}
    work = {"id": "A", "type": "EmrActivity", "step": "command-runner.jar,true"}
    objects = [{"id": "Default", "scheduleType": "ondemand"}, cluster]
    path.write_text(json.dumps({"objects": [*objects, {**work, "runsOn": {"ref": "C"}}]}))
    arguments = ["run", str(path), "--work-dir", str(tmp_path / "work"), "--resources", "emr"]
    assert main(arguments) == EXIT_USAGE
    said = "--resources (emr) makes a cluster for EmrCluster 'C', which only a service"
    assert said in capsys.readouterr().err
    assert main([*arguments[:-1], "emr-serverless=00a"]) == EXIT_USAGE
    said = "(emr-serverless=00a) has jobs for EmrCluster 'C' read and write S3, and not"
    assert said in capsys.readouterr().err
