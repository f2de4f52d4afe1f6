from __future__ import annotations

import re
import threading
import tomllib
from pathlib import Path

import pytest

from taskrunner.config.kinds import Space
from taskrunner.config.load import Loaded, examine, load
from taskrunner.config.settings import BY_NAME, SETTINGS, Settings
from taskrunner.errors import ConfigError
from taskrunner.wire.connect import service_keys

EXAMPLE = Path(__file__).resolve().parents[3] / "config.example.toml"


MISSING_GROUP = (
    "no worker group is named: give --worker-group NAME, set TASKRUNNER_WORKER_GROUP, "
    "or put worker_group into the configuration file"
)


def _load(
    flags: dict[str, object] | None = None,
    environ: dict[str, str] | None = None,
    file: Path | None = None,
) -> Loaded:
    given = {"worker_group": ("wg",), **(flags or {})}
    return load(given, environ or {}, file=str(file) if file else None)


def test_a_flag_wins_over_the_environment_that_over_the_file_and_that_over_the_default(
    tmp_path: Path,
) -> None:
    file = tmp_path / "t.toml"
    file.write_text('tasks = 2\nkill_grace = 2\ndrain_timeout = 2\nlog_level = "debug"\n')
    environ = {"TASKRUNNER_TASKS": "3", "TASKRUNNER_KILL_GRACE": "3"}
    loaded = _load({"tasks": "4"}, environ, file)
    settings = loaded.settings
    assert (settings.tasks, settings.kill_grace, settings.drain_timeout) == (4, 3, 2)
    assert settings.lease_timeout == 300
    origins = [
        loaded.origins[name] for name in ("tasks", "kill_grace", "drain_timeout", "lease_timeout")
    ]
    assert origins == [
        "--tasks",
        "TASKRUNNER_KILL_GRACE",
        f"{file}:3",
        "default",
    ]


def test_the_file_may_be_named_by_the_environment_and_variables_of_aws_count(
    tmp_path: Path,
) -> None:
    file = tmp_path / "t.toml"
    file.write_text("tasks = 7")
    environ = {"TASKRUNNER_CONFIG": str(file), "AWS_REGION": "eu-west-1"}
    settings = _load(environ=environ).settings
    assert (settings.tasks, settings.region) == (7, "eu-west-1")


def test_awss_credentials_file_is_understood(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    file.write_text(
        '{"access-id": "AKID", "private-key": "hush", "endpoint": "https://e.example/",'
        ' "region": "eu-west-1", "log-uri": "s3://b/l", "worker-group": "from-file"}'
    )
    loaded = load({}, {}, file=str(file))
    settings = loaded.settings
    assert settings.worker_group == ("from-file",)
    assert (settings.access_id, settings.secret_key) == ("AKID", "hush")
    assert (settings.endpoint, settings.log_uri) == ("https://e.example", "s3://b/l")
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("flags", "environ", "message"),
    [
        ({"tasks": "many"}, {}, "--tasks: found 'many', wanted a whole number from 1 to 1000"),
        ({"tasks": "0"}, {}, "--tasks: found '0'"),
        ({}, {"TASKRUNNER_TASKS": "x"}, "TASKRUNNER_TASKS: found 'x'"),
        ({"endpoint": "nonsense://x"}, {}, "--endpoint: found 'nonsense://x', wanted a URL"),
        (
            {"endpoint": "nonsense"},
            {},
            "--endpoint: found 'nonsense', wanted a URL: https://HOST[:PORT]",
        ),
        ({"s3_endpoint": "localhost:9000"}, {}, "--s3-endpoint: found 'localhost:9000', wanted"),
        ({"endpoint": "https://"}, {}, "--endpoint: found 'https://'"),
        ({"endpoint": "http://h:port"}, {}, "--endpoint: found"),
        ({"log_uri": "bucket"}, {}, "--log-uri: found 'bucket', wanted s3://"),
        ({"drain_timeout": "nan"}, {}, "--drain-timeout: found 'nan'"),
        (
            {"heartbeat_interval": "9999999999"},
            {},
            "--heartbeat-interval: found '9999999999', wanted a number of seconds from 1 to 316",
        ),
        ({"databases": ("novalue",)}, {}, "--database: found a value, wanted ID=URL"),
        ({}, {"TASKRUNNER_DATABASES": "[1]"}, "TASKRUNNER_DATABASES: found a value"),
        ({"log_level": "loud"}, {}, "--log-level: found 'loud', wanted debug or info"),
        ({"worker_group": ("",)}, {}, "--worker-group: found"),
        ({"worker_group": ()}, {}, "no worker group is named"),
    ],
)
def test_a_wrong_value_is_one_error_that_says_where_and_what(
    flags: dict[str, object], environ: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        _load(flags, environ)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such configuration file"),
        ("tasks = ", "not valid TOML"),
        ("{tasks", "not valid JSON"),
        ("task = 1", ":1: unknown setting 'task'; did you mean 'tasks'?"),
        ("\nqzx = 1", ":2: unknown setting 'qzx'; known are access_id"),
        ("tasks = true", ":1: tasks: found True, wanted a whole number"),
        ("worker_group = [1]", "worker_group: found [1]"),
        ("region = " + 5000 * "[", "which no setting has"),
        ("region = " + 30 * "[" + 30 * "]", "lists or tables in more than 20 others"),
        ('{"region":' + 99999 * "[", "lists or tables in more than 20 others"),
        ("tasks = 0x" + 5000 * "f", "a number of more than 64 bits"),
        ("tasks = " + 5000 * "9", "not valid TOML"),
        ('work_dir = "~nosuchuser/x"', ":1: work_dir: found '~nosuchuser/x', wanted a path; no"),
        ('s3_root = "~nosuchuser/x"', ":1: s3_root: found '~nosuchuser/x', wanted a path; no"),
        ('ca_bundle = "~nosuchuser/x"', ":1: ca_bundle: found '~nosuchuser/x', wanted a path; no"),
        ('secret_key_file = "~nosuchuser/x"', "found '~nosuchuser/x', wanted the path of a file"),
        ('work_dir = "/a\\u0000b"', ":1: work_dir: found '/a\\x00b', wanted a text without NULs"),
        ('task_file_size = "' + 400 * "9" + '"', "wanted a size such as 512MB or 4GB"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "t.toml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load({}, {}, file=str(file))
    assert str(file) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("flag", ["endpoint", "s3_endpoint"])
def test_a_password_in_a_wrong_url_is_not_told(flag: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _load({flag: "htp://me:p@ss:word@h"})
    assert "found 'htp://me:********@h', wanted a URL" in str(caught.value)


def test_no_wait_is_longer_than_an_event_can_wait() -> None:
    waits = [setting for setting in SETTINGS if setting.help.startswith("Seconds")]
    assert len(waits) >= 9
    for setting in waits:
        assert setting.kind(31_622_400) == 31_622_400 < threading.TIMEOUT_MAX / 100
        for beyond in (31_622_401, "inf", 10**400):
            with pytest.raises(ValueError, match=r"to 31622400 \(a year\)"):
                setting.kind(beyond)


def test_databases_and_groups_come_in_every_form(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text('[databases]\nA = "mysql://a"\n')
    assert _load(file=file).settings.databases == {"A": "mysql://a"}
    environ = {"TASKRUNNER_DATABASES": '{"B": "mysql://b"}', "TASKRUNNER_WORKER_GROUP": "x, y"}
    settings = load({}, environ).settings
    assert settings.databases == {"B": "mysql://b"}
    assert settings.worker_group == ("x", "y")
    flags: dict[str, object] = {"databases": ("C=mysql://c?x=y",)}
    assert _load(flags).settings.databases == {"C": "mysql://c?x=y"}


def test_a_weight_for_a_group_that_is_not_polled_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text('worker_group = ["prod", "spare"]\n\n[group_weights]\nprod = 3\nProd = 2\n')
    with pytest.raises(ConfigError) as error:
        load({}, {}, file=str(file))
    assert str(error.value) == (
        f"{file}:3: found a weight for 'Prod', wanted one of the worker groups: prod, spare"
    )
    flags = {"worker_group": ("a",), "group_weights": ("a=2", "b=3")}
    with pytest.raises(ConfigError, match=r"--group-weight: found a weight for 'b'"):
        load(flags, {})
    assert load({**flags, "group_weights": ("a=2",)}, {}).settings.group_weights == {"a": 2}


def test_a_secret_on_the_command_line_is_noticed() -> None:
    loaded = _load({"secret_key": "x", "access_id": "y"}, {"TASKRUNNER_PROXY_PASSWORD": "z"})
    (warning,) = loaded.warnings
    assert warning.startswith("--secret-key: a secret on the command line")


def test_every_default_is_what_its_kind_makes_of_it() -> None:
    # A field's type is for mypy alone: no other test would see a default of another one.
    for setting in SETTINGS:
        value = setting.default({})
        if value is not None and value != ():
            again = setting.kind(str(value) if isinstance(value, Path | Space) else value)
            assert (again, type(again)) == (value, type(value)), setting.name


def test_what_is_secret_is_in_no_repr(tmp_path: Path) -> None:
    secrets = {setting.name: {"x": "hush"} for setting in SETTINGS if setting.secret}
    assert len(secrets) == 4
    assert "hush" not in repr(Settings(work_dir=tmp_path, **secrets))  # type: ignore[arg-type]
    assert "tasks=4" in repr(Settings(work_dir=tmp_path))


def test_operators_are_told_which_settings_a_reload_takes_over() -> None:
    page = (EXAMPLE.parent / "docs" / "operate.md").read_text()
    (paragraph,) = re.findall(r"A reload takes over (.*?)\n\n", page, re.DOTALL)
    told = {name for name in re.findall(r"`(\w+)`", paragraph) if name in BY_NAME}
    assert told == {setting.name for setting in SETTINGS if setting.live}


def test_the_example_file_explains_every_setting_with_its_default() -> None:
    text = EXAMPLE.read_text()
    assert tomllib.loads(text) == {}, "everything in the example is commented out"
    for setting in SETTINGS:
        line = re.search(rf"^# {setting.name} = (.*)$", text, re.MULTILINE)
        assert line is not None, setting.name
        assert f"# {setting.help} [{setting.flag}, ${setting.variables[0]}]" in text
        if setting.file_name is not None:
            assert re.search(rf"^# {setting.file_name} = \"/", text, re.MULTILINE), setting.name
            assert f"[{setting.file_flag}, ${setting.file_variable}]" in text
        value = tomllib.loads(f"x = {line[1]}")["x"]
        parsed = setting.kind(value)
        if setting.fallback not in (None, (), {}):
            assert parsed == setting.fallback, setting.name


def test_the_example_file_is_valid_when_uncommented(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    names = "|".join(BY_NAME)
    uncommented = re.sub(rf"^# ({names}) = ", r"\1 = ", EXAMPLE.read_text(), flags=re.MULTILINE)
    file.write_text(uncommented)
    assert load({}, {}, file=str(file)).settings.worker_group == ("wg-12345",)


@pytest.mark.parametrize(
    ("content", "key", "line"),
    [
        ("# tasks = 1\n\ntasks = 3\n", "tasks", 3),
        ('"tasks" = 3\n', "tasks", 1),
        ('region = "r"\n[databases]\nA = "mysql://tasks = 1"\n', "databases", 2),
        ('\ndatabases.A = "mysql://a"\n', "databases", 2),
        ('{\n "private-key": "hush",\n "access-id": "A"}', "secret_key", 2),
        ('{"access-id": "A", "private-key": "hush"}', "secret_key", 1),
    ],
)
def test_a_value_of_the_file_comes_with_its_line(
    tmp_path: Path, content: str, key: str, line: int
) -> None:
    file = tmp_path / "settings"
    file.write_text(content)
    assert examine({}, {}, file=str(file)).origins[key] == f"{file}:{line}"


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text('tasks = 0\ndrain_timout = 3\nsecret_key = "hush"\n')
    with pytest.raises(ConfigError) as caught:
        load({"region": ""}, {"TASKRUNNER_LOG_LEVEL": "loud"}, file=str(file))
    lines = str(caught.value).splitlines()
    assert [line.split(" found")[0] for line in lines] == [
        f"{file}:2: unknown setting 'drain_timout'; did you mean 'drain_timeout'?",
        "--region:",
        f"{file}:1: tasks:",
        "TASKRUNNER_LOG_LEVEL:",
        MISSING_GROUP,
        "an access key has two parts: set both access_id and secret_key",
    ]
    assert "hush" not in str(caught.value)


def test_half_a_key_for_the_service_is_told() -> None:
    flags = {"worker_group": ("wg",), "service_secret_key": "hush"}
    with pytest.raises(ConfigError, match="set service_access_id"):
        load(flags, {})
    # Its secret may be a credential that only the unit has, which `install-service` is not.
    settings = load({"worker_group": ("wg",), "service_access_id": "m-1"}, {}).settings
    assert settings.service_secret_key is None
    with pytest.raises(ConfigError, match="there is no service_secret_key: give it as"):
        service_keys(settings.service_access_id, settings.service_secret_key)
