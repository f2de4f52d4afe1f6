from __future__ import annotations

import configparser
import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

from taskrunner.agent.agent_settings import AgentSettings
from taskrunner.agent.lifecycle import ExitCode
from taskrunner.config.settings import Settings
from taskrunner.errors import TaskrunnerError, UsageError
from taskrunner.installer.plan import (
    Create,
    Host,
    RemoveFile,
    RemoveState,
    Run,
    Step,
    Target,
    Write,
    check_kept,
    config_text,
    install_plan,
    shipped,
    uninstall_plan,
    unit_text,
)

UNITS = "/etc/systemd/system"
HOST = Host(
    command=("/srv/tr/bin/taskrunner",),
    systemd_version=252,
    tools=frozenset({"systemd-sysusers", "systemd-tmpfiles"}),
)
BARE = Host(command=HOST.command, systemd_version=240, tools=frozenset({"useradd"}))


def _unit(name: str) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=["="])
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(shipped(f"systemd/{name}"))
    return parser["Service"]


def _commands(steps: list[Step]) -> list[str]:
    return [" ".join(step.argv) for step in steps if isinstance(step, Run)]


def _paths(steps: list[Step], kind: type[Write] | type[Create] | type[RemoveFile]) -> list[str]:
    return [str(step.path) for step in steps if isinstance(step, kind)]


def test_an_instance_differs_only_where_its_name_stands() -> None:
    both = [
        shipped(f"systemd/{name}").partition("[Unit]")[2]
        for name in ("taskrunner.service", "taskrunner@.service")
    ]
    one, many = (text.splitlines() for text in both)
    assert len(one) == len(many)
    assert all("%i" in b for a, b in zip(one, many, strict=True) if a != b)


def test_the_unit_waits_as_long_as_the_default_drain_may_take() -> None:
    config = Settings(worker_group=("wg",), work_dir=Path("/w"))
    settings = AgentSettings(config=config, taskrunner_id="x", hostname="h")
    minutes = re.fullmatch(r"(\d+)min", _unit("taskrunner.service")["TimeoutStopSec"])
    assert minutes is not None
    assert int(minutes[1]) * 60 >= settings.longest_stop_s


def test_exit_codes_that_a_restart_cannot_mend_prevent_it() -> None:
    given = _unit("taskrunner.service")["RestartPreventExitStatus"].split()
    assert [int(code) for code in given] == [ExitCode.USAGE, ExitCode.NOT_AUTHORIZED]


def test_control_groups_stay_writable_for_the_agent() -> None:
    agent = _unit("taskrunner.service")
    assert agent["Delegate"] == "yes"
    assert "ProtectControlGroups" not in agent


def test_a_first_installation_makes_users_folders_settings_unit_in_this_order() -> None:
    steps = install_plan(Target(), HOST, {"worker_group": ("a",)}, start=True)
    assert [str(getattr(step, "path", "") or " ".join(step.argv)) for step in steps] == [  # type: ignore[union-attr]
        "/etc/sysusers.d/taskrunner.conf",
        "systemd-sysusers /etc/sysusers.d/taskrunner.conf",
        "/etc/tmpfiles.d/taskrunner.conf",
        "systemd-tmpfiles --create /etc/tmpfiles.d/taskrunner.conf",
        "/etc/taskrunner/taskrunner.toml",
        "/etc/systemd/system/taskrunner.service",
        "/etc/systemd/system/taskrunner.service.d/20-taskrunner-credentials.conf",
        f"{UNITS}/taskrunner.service.d/30-taskrunner-metadata.conf",
        f"{UNITS}/taskrunner.service.d/30-taskrunner-metadata.nft",
        "/usr/local/bin/taskrunner",
        "systemctl daemon-reload",
        "systemctl enable taskrunner.service",
        "systemctl start taskrunner.service",
    ]
    (config,) = [step for step in steps if isinstance(step, Create)]
    assert (config.mode, config.group) == (0o640, "taskrunner")


def test_without_systemds_helpers_users_and_folders_come_from_the_same_files() -> None:
    commands = _commands(install_plan(Target(), BARE, {}, start=False))
    assert commands[0] == (
        "useradd --system --user-group --home-dir /var/lib/taskrunner "
        "--shell /usr/sbin/nologin taskrunner"
    )
    assert "install --directory -m 0750 -o root -g taskrunner /etc/taskrunner" in commands
    assert "systemctl start taskrunner.service" not in commands


def test_a_user_that_exists_is_not_made_again() -> None:
    host = Host(
        command=HOST.command,
        systemd_version=240,
        tools=frozenset({"useradd"}),
        users=frozenset({"taskrunner", "taskrunner-serve"}),
    )
    commands = _commands(install_plan(Target(), host, {}, start=False))
    assert [line for line in commands if line.startswith("useradd")] == []


def test_what_only_some_hosts_understand_is_installed_only_there() -> None:
    backoff = "/etc/systemd/system/taskrunner.service.d/10-taskrunner-backoff.conf"
    needrestart = "/etc/needrestart/conf.d/taskrunner.conf"
    host = Host(command=HOST.command, systemd_version=254, tools=HOST.tools, needrestart=True)
    assert {backoff, needrestart} <= set(
        _paths(install_plan(Target(), host, {}, start=False), Write)
    )
    assert not {backoff, needrestart} & set(
        _paths(install_plan(Target(), HOST, {}, start=False), Write)
    )


def test_units_of_agents_get_the_hosts_credentials_file_once_it_is_there() -> None:
    drop_in = "/etc/systemd/system/taskrunner@.service.d/20-taskrunner-credentials.conf"
    there = Host(command=HOST.command, systemd_version=252, tools=HOST.tools, credentials=True)
    steps = install_plan(Target(instance="blue"), there, {}, start=False)
    (step,) = [s for s in steps if isinstance(s, Write) and str(s.path) == drop_in]
    assert "LoadCredential=aws:/etc/taskrunner/aws-credentials\n" in step.text
    assert drop_in in _paths(
        install_plan(Target(instance="blue"), HOST, {}, start=False), RemoveFile
    )
    assert drop_in in _paths(uninstall_plan(Target(instance="blue"), HOST, purge=False), RemoveFile)
    served = install_plan(Target(serve=True), there, {}, start=False)
    assert [p for p in _paths(served, Write) if "credentials" in p] == []


def test_an_instance_has_settings_and_a_unit_name_of_its_own() -> None:
    target = Target(instance="blue")
    steps = install_plan(target, HOST, {}, start=True)
    assert _paths(steps, Create) == ["/etc/taskrunner/blue.toml"]
    assert "/etc/systemd/system/taskrunner@.service" in _paths(steps, Write)
    assert _commands(steps)[-1] == "systemctl start taskrunner@blue.service"
    assert str(target.state) == "/var/lib/taskrunner/instances/blue"


def test_the_new_settings_of_an_instance_name_the_folder_that_its_unit_has() -> None:
    target = Target(instance="blue")
    (config,) = [s for s in install_plan(target, HOST, {}, start=False) if isinstance(s, Create)]
    of_the_unit = "/var/lib/" + _unit(target.file)["StateDirectory"].replace("%i", "blue")
    assert tomllib.loads(config.text) == {"work_dir": of_the_unit}
    (config,) = [s for s in install_plan(Target(), HOST, {}, start=False) if isinstance(s, Create)]
    assert tomllib.loads(config.text) == {}


def test_the_service_gets_a_first_key_that_no_other_installation_has() -> None:
    texts = set()
    for _ in range(2):
        steps = install_plan(Target(serve=True), HOST, {}, start=False)
        (keys,) = [s for s in steps if isinstance(s, Create) and s.path.name == "keys.toml"]
        assert keys.mode == 0o600
        (key,) = tomllib.loads(keys.text)["keys"]
        assert key["role"] == "admin"
        assert len(key["secret"]) >= 40
        assert key["secret"] not in repr(keys)
        texts.add(keys.text)
    assert len(texts) == 2


@pytest.mark.parametrize(
    "name", ["", "a/b", "a b", "../x", "..", ".", ".x", "-x", "keys", "taskrunner", "x" * 65]
)
def test_instance_names_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--instance"):
        Target(instance=name)


def test_a_service_has_no_instances() -> None:
    with pytest.raises(UsageError, match="one or the other"):
        Target(instance="a", serve=True)


def test_the_unit_starts_this_installation() -> None:
    text = unit_text(Target(), ["/srv/tr/bin/python3", "-m", "taskrunner"])
    line = (
        "ExecStart=/srv/tr/bin/python3 -m taskrunner agent --config /etc/taskrunner/taskrunner.toml"
    )
    assert line in text.splitlines()
    assert "/opt/taskrunner" not in text


@pytest.mark.parametrize("path", ["/opt/my tools/bin/taskrunner", "/opt/100%/taskrunner", "/x\ny"])
def test_a_path_that_a_unit_would_misread_is_refused(path: str) -> None:
    with pytest.raises(TaskrunnerError, match="cannot hold this path"):
        unit_text(Target(), [path])


def test_settings_stand_in_the_new_file_and_all_else_is_as_shipped() -> None:
    settings = {"worker_group": ("a", 'b"c'), "endpoint": "http://127.0.0.1:1", "allow_http": True}
    text = config_text({**settings, "tasks": 3})
    assert tomllib.loads(text) == {
        "worker_group": ["a", 'b"c'],
        "endpoint": "http://127.0.0.1:1",
        "allow_http": True,
        "tasks": 3,
    }
    assert len(text.splitlines()) == len(shipped("config.example.toml").splitlines())


def test_a_setting_that_the_example_lacks_is_added_at_the_end() -> None:
    assert tomllib.loads(config_text({"brand_new": "x"})) == {"brand_new": "x"}


def test_a_kept_file_may_say_the_same_and_nothing_else() -> None:
    path = Path("/etc/taskrunner/taskrunner.toml")
    check_kept(path, {"worker_group": ["a"], "tasks": 2}, {"worker_group": ("a",)})
    with pytest.raises(
        UsageError, match=r'says worker_group = \["a"\], and --worker-group asks for'
    ):
        check_kept(path, {"worker_group": ["a"]}, {"worker_group": ("b",)})
    with pytest.raises(UsageError, match="has no endpoint"):
        check_kept(path, {}, {"endpoint": "https://x.example"})
    with pytest.raises(UsageError, match='says tasks = "many", and --tasks asks for 4'):
        check_kept(path, {"tasks": "many"}, {"tasks": 4})
    with pytest.raises(UsageError, match='says region = "2026-02-13"'):
        check_kept(path, {"region": date(2026, 2, 13)}, {"region": "eu-west-1"})


@pytest.mark.parametrize("instance", [None, "a"])
def test_users_are_kept_from_the_metadata_by_a_rule_that_systemd_sets(instance: str | None) -> None:
    target = Target(instance=instance)
    steps = install_plan(target, HOST, {}, start=False, kept_from_metadata=("dp", "reports"))
    texts = {str(step.path): step.text for step in steps if isinstance(step, Write)}
    folder = f"{UNITS}/{target.unit}.d"
    drop_in = texts[f"{folder}/30-taskrunner-metadata.conf"]
    assert f"ExecStartPre=+/usr/sbin/nft -f {folder}/30-taskrunner-metadata.nft\n" in drop_in
    rules = texts[f"{folder}/30-taskrunner-metadata.nft"]
    assert 'meta skuid { "dp", "reports" } ip daddr 169.254.169.254 reject' in rules
    table = rules.split()[2]
    assert f"nft delete table inet {table}\n" in drop_in


def test_uninstalling_keeps_settings_and_state() -> None:
    steps = uninstall_plan(Target(), HOST, purge=False)
    assert _commands(steps)[0] == "systemctl disable --now taskrunner.service"
    removed = _paths(steps, RemoveFile)
    assert "/etc/systemd/system/taskrunner.service" in removed
    assert [path for path in removed if path.startswith("/etc/taskrunner/")] == []
    assert [step for step in steps if isinstance(step, RemoveState)] == []


def test_purging_spares_the_state_of_other_agents() -> None:
    steps = uninstall_plan(Target(), HOST, purge=True)
    assert steps[-2:] == [
        RemoveFile(Path("/etc/taskrunner/taskrunner.toml")),
        RemoveState(Path("/var/lib/taskrunner"), keep=("instances",)),
    ]


def test_what_other_units_need_is_left_to_them() -> None:
    units = frozenset({"taskrunner@a.service", "taskrunner@b.service"})
    host = Host(command=HOST.command, systemd_version=252, tools=HOST.tools, units=units)
    removed = _paths(uninstall_plan(Target(instance="a"), host, purge=False), RemoveFile)
    assert {str(Path(path).parent) for path in removed} == {f"{UNITS}/taskrunner@a.service.d"}
    alone = Host(
        command=HOST.command,
        systemd_version=252,
        tools=HOST.tools,
        units=units - {"taskrunner@b.service"},
    )
    removed = _paths(uninstall_plan(Target(instance="a"), alone, purge=False), RemoveFile)
    assert "/etc/systemd/system/taskrunner@.service" in removed
    assert "/etc/sysusers.d/taskrunner.conf" in removed
