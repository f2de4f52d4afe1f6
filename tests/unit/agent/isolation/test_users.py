"""Whose rights tasks have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from taskrunner.agent.isolation.users import check_root, check_users, open_way, users_by_group
from taskrunner.errors import ConfigError
from taskrunner.host.users import User


@pytest.mark.parametrize(
    ("uid", "allowed", "users"),
    [(1000, False, {}), (0, True, {}), (0, False, {"": "u"}), (0, False, {"a": "u", "b": "v"})],
)
def test_tasks_may_run(uid: int, allowed: bool, users: Mapping[str, str]) -> None:
    check_root(("a", "b"), users, allow_root=allowed, uid=uid)


@pytest.mark.parametrize(("users", "group"), [({}, "a"), ({"a": "u"}, "b"), ({"c": "u"}, "a")])
def test_no_task_runs_as_root_unless_that_is_allowed(users: Mapping[str, str], group: str) -> None:
    with pytest.raises(ConfigError, match=f"tasks of the worker group '{group}' would run as root"):
        check_root(("a", "b"), users, allow_root=False, uid=0)


def _user(name: str, uid: int, *groups: int) -> User:
    return User(name=name, uid=uid, gid=groups[0], groups=groups, shell="/bin/sh")


def test_a_group_has_its_own_user_or_the_one_for_all() -> None:
    names = {"": "daemon", "b": "nobody"}
    users = users_by_group(("a", "b"), names, allow_root=False)
    assert {group: user.name for group, user in users.items()} == {"a": "daemon", "b": "nobody"}
    users = users_by_group(("a", "b"), {"b": "nobody"}, allow_root=False)
    assert list(users) == ["b"]


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ({"c": "nobody"}, "'c', which this agent does not serve \\(it serves 'a', 'b'\\)"),
        ({"": "no-such-user"}, "no user 'no-such-user'; create it \\(useradd"),
        ({"": "root"}, "'root' is root"),
    ],
)
def test_a_wrong_user_is_told_with_the_remedy(users: Mapping[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        users_by_group(("a", "b"), users, allow_root=False)


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (_user("agent", 7, 8), "the agent's own user"),
        (_user("dp", 9, 9, 8), "in the agent's group.*gpasswd --delete dp agent"),
    ],
)
def test_a_user_that_is_not_kept_from_the_agent_is_refused(user: User, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_users({"a": user}, uid=7, gid=8, name="agent")


def test_without_users_nothing_is_wanted_of_the_host(tmp_path: Path) -> None:
    check_users({}, uid=7, gid=8, name="agent")
    open_way(tmp_path, {})
    assert list(tmp_path.iterdir()) == []
