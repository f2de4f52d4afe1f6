"""Whose rights tasks have."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from taskrunner.agent.users import check_root
from taskrunner.errors import ConfigError


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
