"""What agents of resources on the service's host are told, and as whom their tasks run."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from taskrunner.cli.local_agents import (
    LocalAgents,
    check_private,
    resource_environment,
    store_files,
)
from taskrunner.config.load import load
from taskrunner.errors import ConfigError, UsageError
from taskrunner.host.users import User

ROOT_IS_MEANT = {"TASKRUNNER_ALLOW_ROOT": "true"}


def test_agents_of_local_resources_have_the_services_variables_and_no_file_of_another() -> None:
    told = resource_environment({"TASKRUNNER_ALLOW_ROOT": "true"}, "http://here")
    loaded = load({"worker_group": ("wg",)}, told)
    assert (loaded.settings.allow_root, loaded.settings.endpoint) == (True, "http://here")
    assert told["TASKRUNNER_CONFIG"] == "/dev/null"
    named = {"TASKRUNNER_CONFIG": "/etc/taskrunner/resources.toml"}
    assert resource_environment(named, "http://here") == {
        **named,
        "TASKRUNNER_ENDPOINT": "http://here",
    }


def test_agents_are_not_told_where_keys_and_store_are() -> None:
    given = {
        "TASKRUNNER_DATABASE_URL": "postgresql://u:p@h/d",
        "TASKRUNNER_CREDENTIALS_FILE": "/run/keys.toml",
        "AWS_ACCESS_KEY_ID": "k",
    }
    told = resource_environment(given, "http://here")
    assert told.keys() - {"TASKRUNNER_CONFIG", "TASKRUNNER_ENDPOINT"} == {"AWS_ACCESS_KEY_ID"}


def agents(folder: Path, **given: object) -> LocalAgents:
    return LocalAgents(folder=folder / "resources", region="us-east-1", **given)  # type: ignore[arg-type]


def test_with_keys_tasks_do_not_run_as_the_services_own_user(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    with pytest.raises(UsageError) as told:
        agents(tmp_path).task_user(ROOT_IS_MEANT, keys=keys)
    own = pwd.getpwuid(os.geteuid()).pw_name
    for said in (repr(own), str(keys), "--run-as-user", "group=NAME", "--tasks-as-service-user"):
        assert said in str(told.value)


def test_unless_that_is_asked_for_or_nobody_needs_a_key(tmp_path: Path) -> None:
    asked = agents(tmp_path, as_service_user=True)
    assert asked.task_user(ROOT_IS_MEANT, keys=tmp_path / "keys.toml") is None
    assert agents(tmp_path).task_user(ROOT_IS_MEANT, keys=None) is None


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_both_users_are_one_too_many(tmp_path: Path, how: str) -> None:
    named = "nobody" if how == "flag" else None
    environ = {"TASKRUNNER_RUN_AS_USER": "nobody"} if how == "variable" else {}
    both = agents(tmp_path, as_service_user=True, run_as_user=named)
    with pytest.raises(UsageError, match=r"a user for tasks \(nobody\): one or the other"):
        both.task_user({**ROOT_IS_MEANT, **environ}, keys=None)


@pytest.mark.skipif(os.geteuid() != 0, reason="root is refused only to root")
def test_root_is_refused_at_the_start_and_not_by_each_agent(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"would run as root.*TASKRUNNER_ALLOW_ROOT=true"):
        agents(tmp_path, as_service_user=True).task_user({}, keys=tmp_path / "keys.toml")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be another user")
@pytest.mark.parametrize("how", ["flag", "variable"])
def test_a_user_is_named_by_a_flag_or_as_agents_name_theirs(tmp_path: Path, how: str) -> None:
    named = agents(tmp_path, run_as_user="nobody" if how == "flag" else None)
    environ = {"TASKRUNNER_RUN_AS_USER": "nobody"} if how == "variable" else {}
    user = named.task_user(environ, keys=tmp_path / "keys.toml")
    assert user == User.named("nobody")
    assert ("--run-as-user" in named.arguments()) is (how == "flag")


@pytest.mark.parametrize("name", ["no-such-user", "root"])
def test_a_user_that_cannot_be_is_told_at_the_start(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"--resources: .*{name}"):
        agents(tmp_path, run_as_user=name).task_user({}, keys=None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be another user")
def test_a_folder_that_tasks_cannot_get_to_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigError, match=f"cannot get to .*{tmp_path.name}.*set --work-dir"):
        agents(tmp_path).open_way(User.named("nobody"))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may pass through."""
    with TemporaryDirectory(prefix="taskrunner-private-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be another user")
@pytest.mark.parametrize(
    ("mode", "of_folder", "said"),
    [
        (0o600, 0o711, None),
        (0o604, 0o711, "can read"),
        (0o602, 0o711, "can write to"),
        (0o600, 0o703, "can replace"),
        (0o600, 0o1703, None),
        (0o604, 0o700, None),
    ],
)
def test_what_is_the_services_is_out_of_reach_or_it_does_not_start(
    open_folder: Path, mode: int, of_folder: int, said: str | None
) -> None:
    secret = open_folder / "keys.toml"
    secret.touch()
    secret.chmod(mode)
    open_folder.chmod(of_folder)
    private, nobody = [open_folder / "not-there", secret], User.named("nobody")
    if said is None:
        check_private(nobody, private)
        return
    with pytest.raises(ConfigError, match=f"tasks run as 'nobody', who {said} {secret}"):
        check_private(nobody, private)
    check_private(None, private)


def test_a_store_here_is_several_files() -> None:
    assert [path.name for path in store_files("sqlite:////srv/service.db")] == [
        "service.db",
        "service.db-wal",
        "service.db-shm",
        "service.db-journal",
        "service.db-key",
    ]
    assert store_files("postgresql://u:p@h/d") == []
