from __future__ import annotations

import json
import os
import pwd
import re
import tomllib
from pathlib import Path

import click
import pytest

from taskrunner.cli import main
from taskrunner.cli.agent import command as agent_command
from taskrunner.cli.config import agent_process
from taskrunner.cli.start_checks import Process
from taskrunner.config.load import DEFAULT_FILE
from taskrunner.config.settings import BY_NAME, SETTINGS
from taskrunner.host.units import Unit

EXAMPLE = Path(__file__).resolve().parents[3] / "config.example.toml"

pytestmark = pytest.mark.skipif(DEFAULT_FILE.exists(), reason=f"this host has a {DEFAULT_FILE}")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        for variable in setting.variables:
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("TASKRUNNER_CONFIG", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "t.toml"
    path.write_text(
        'worker_group = ["a", "b"]\nkill_grace = 2\nsecret_key = "hush"\naccess_id = "AKID"\n'
        'endpoint = "https://service.example"\ndatabases = { Db = "mysql://u:hush@h/d" }\n'
    )
    return path


def test_settings_are_shown_as_toml_without_secrets(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "show", "--config", str(file)]) == 0
    printed = capsys.readouterr().out
    values = tomllib.loads(printed)
    assert values["worker_group"] == ["a", "b"]
    assert (values["kill_grace"], values["tasks"]) == (2, 4)
    assert values["min_free_disk"] == "512MB or 2%"
    assert values["access_id"] == "AKID"
    assert values["secret_key"] == "********"
    assert values["databases"] == {"Db": "********"}
    assert "hush" not in printed
    missing = re.findall(r"^# (\w+) =$", printed, re.MULTILINE)
    assert {*values, *missing} == {setting.name for setting in SETTINGS}


def test_each_value_comes_with_its_origin(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKRUNNER_DRAIN_TIMEOUT", "7")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    arguments = ["config", "show", "--origin", "--config", str(file), "--tasks", "9"]
    assert main([*arguments, "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["tasks"] == {"value": 9, "origin": "--tasks"}
    assert shown["drain_timeout"] == {"value": 7.0, "origin": "TASKRUNNER_DRAIN_TIMEOUT"}
    assert shown["region"] == {"value": "eu-west-1", "origin": "AWS_REGION"}
    assert shown["kill_grace"] == {"value": 2.0, "origin": f"{file}:2"}
    assert shown["lease_timeout"] == {"value": 300.0, "origin": "default"}
    assert shown["log_uri"] == {"value": None, "origin": "default"}
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert re.search(r"^tasks = 9 +# --tasks$", text, re.MULTILINE)
    assert tomllib.loads(text)["tasks"] == 9


def test_all_is_shown_before_what_is_missing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "t.toml"
    file.write_text("kill_grace = 2\n")
    arguments = ["config", "show", "--origin", "--config", str(file)]
    assert main([*arguments, "--format", "json"]) == 2
    printed = capfd.readouterr()
    shown = json.loads(printed.out)
    assert shown.keys() == BY_NAME.keys()
    assert shown["kill_grace"] == {"value": 2.0, "origin": f"{file}:1"}
    assert shown["worker_group"] == {"value": [], "origin": "default"}
    assert printed.err.startswith("taskrunner: no worker group is named")


def test_a_wrong_value_hides_none_of_the_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "t.toml"
    file.write_text('worker_group = "g"\ntasks = 0\nsecret_key = "hush"\n')
    assert main(["config", "show", "--origin", "--config", str(file)]) == 2
    printed = capfd.readouterr()
    assert BY_NAME.keys() - set(re.findall(r"^(?:# )?(\w+) =", printed.out, re.MULTILINE)) == {
        "tasks"
    }
    assert [line.split(" found")[0] for line in printed.err.splitlines()] == [
        f"taskrunner: {file}:2: tasks:",
        "taskrunner: an access key has two parts: set both access_id and secret_key",
    ]
    assert "hush" not in printed.out + printed.err


def test_of_a_file_that_cannot_be_read_nothing_is_made_up(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "t.toml"
    file.write_text("tasks = \n")
    assert main(["config", "show", "--config", str(file)]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"taskrunner: {file}: not valid TOML")


def test_a_password_in_a_url_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["config", "show", "--worker-group", "g", "--s3-endpoint", "http://u:hush@h:1"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "http://u:********@h:1" in printed
    assert "hush" not in printed


def test_right_settings_pass_the_check(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Whoever the tests run as.
    assert main(["config", "check", "--config", str(file), "--allow-root"]) == 0
    assert capsys.readouterr().out.startswith("the settings are right: 7 given")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--database", "Db=foo://h/d"], "--database: database 'Db': there is no driver for 'foo'"),
        (["--run-as-user", "no-such"], "--run-as-user: run_as_user: this host has no user 'no-s"),
        (["--run-as-user", "other=nobody"], "--run-as-user: run_as_user names the worker group 'o"),
    ],
)
def test_what_the_agent_refuses_at_its_start_is_not_approved(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check", "--worker-group", "g", "--allow-root", *arguments]) == 2
    assert f"taskrunner: {said}" in capsys.readouterr().err


def test_what_is_wrong_with_one_setting_hides_nothing_of_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = ["--tasks", "0", "--database", "Db=foo://h/d", "--run-as-user", "no-such"]
    assert main(["config", "check", "--worker-group", "g", "--allow-root", *wrong]) == 2
    places = [line.split(":")[1] for line in capsys.readouterr().err.splitlines()]
    assert [place for place in places if place != " warning"] == [
        *(" --tasks", " --database", " --run-as-user"),
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
def test_root_is_not_approved_where_the_agent_refuses_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["config", "check", "--worker-group", "g"]) == 2
    assert "tasks of the worker group 'g' would run as root" in capsys.readouterr().err


ROOT, NOBODY = Process(uid=0, gid=0), Process(uid=65534, gid=65534)
IN_ETC = Path("/etc/taskrunner")


@pytest.mark.parametrize(
    ("file", "unit"),
    [(IN_ETC / "taskrunner.toml", "taskrunner.service"), (IN_ETC / "a.toml", "taskrunner@a")],
)
def test_for_root_the_agent_of_a_units_file_runs_as_the_units_user(file: Path, unit: str) -> None:
    daemon = pwd.getpwnam("daemon")

    def show(name: str) -> Unit | None:
        return Unit(name=name, facts={"User": "daemon"}) if name.startswith(unit) else None

    found = agent_process(file, ROOT, show=show)
    assert found == Process(uid=daemon.pw_uid, gid=daemon.pw_gid)
    assert agent_process(file, NOBODY, show=show) == NOBODY
    assert agent_process(Path("/srv") / file.name, ROOT, show=show) == ROOT
    assert agent_process(file, ROOT, show=lambda _: None) == ROOT
    assert agent_process(file, ROOT, show=lambda name: Unit(name=name, facts={})) == ROOT


def test_the_check_says_all_that_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "t.toml"
    wrong.write_text('work_groups = ["a"]\ntasks = 0\nendpoint = "http://service.example"\n')
    assert main(["config", "check", "--config", str(wrong)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split(";")[0][:78] for line in printed.err.splitlines()] == [
        line[:78]
        for line in (
            f"taskrunner: {wrong}:1: unknown setting 'work_groups'",
            f"taskrunner: {wrong}:2: tasks: found 0, wanted a whole number from 1 to 1000",
            "taskrunner: no worker group is named: give --worker-group NAME, set TASKRUNNER_WORKER",
            f"taskrunner: {wrong}:3: endpoint 'http://service.example': http to another machine",
        )
    ]
    assert "did you mean 'worker_group'?" in printed.err


def test_a_file_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--config", "/no.toml", "--worker-group", "g"]) == 2
    assert "/no.toml: there is no such" in capsys.readouterr().err


def test_example_help_and_table_name_the_same_settings() -> None:
    shown = {
        option.name: option
        for option in agent_command.params
        if isinstance(option, click.Option) and not option.hidden
    }
    table = {setting.name: setting for setting in SETTINGS}
    files = {setting.file_name for setting in SETTINGS if setting.file_name}
    assert shown.keys() - table.keys() == {"config", *files}
    example = EXAMPLE.read_text()
    for name, setting in table.items():
        assert setting.flag in shown[name].opts
        assert f"${setting.variables[0]}" in str(shown[name].help)
        assert str(shown[name].help).startswith(setting.help)
        assert f"# {setting.help} [{setting.flag}, ${setting.variables[0]}]" in example
        assert re.search(rf"^# {name} = ", example, re.MULTILINE), name
    assert set(re.findall(r"^# (\w+) = ", example, re.MULTILINE)) == table.keys() | files


@pytest.mark.parametrize(
    ("given", "value"), [(["--allow-root"], True), (["--allow-root", "false"], False), ([], False)]
)
def test_the_bare_flag_of_a_switch_turns_it_on(
    given: list[str], value: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "show", "--format", "json", *given, "--worker-group", "g"]) == 0
    assert json.loads(capsys.readouterr().out)["allow_root"] is value
