"""Whose rights tasks have: what the settings may ask for, checked before anything runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from taskrunner.errors import ConfigError
from taskrunner.host.users import (
    CAPABILITIES,
    User,
    can_change_users,
    effective_capabilities,
    said_as,
)

_CREATE = "create it (useradd --system --user-group {0}), or name another"


def check_root(
    groups: Sequence[str], run_as_user: Mapping[str, str], *, allow_root: bool, uid: int
) -> None:
    """Refuse to run tasks as root unless that is asked for; raises ConfigError."""
    bare = [group for group in groups if group not in run_as_user and "" not in run_as_user]
    if uid != 0 or allow_root or not bare:
        return
    raise ConfigError(
        f"tasks of the worker group {bare[0]!r} would run as root: start the agent as another "
        "user, as the unit of `taskrunner install-service` does, or name the user for tasks "
        "(--run-as-user USER); if root is really meant, give --allow-root"
    )


def users_by_group(
    groups: Sequence[str], run_as_user: Mapping[str, str], *, allow_root: bool
) -> dict[str, User]:
    """The user of each worker group that has one; raises ConfigError."""
    for group in run_as_user:
        if group not in {"", *groups}:
            served = ", ".join(map(repr, groups))
            raise ConfigError(
                f"run_as_user names the worker group {group!r}, which this agent does not serve "
                f"(it serves {served})"
            )
    names = {group: run_as_user.get(group) or run_as_user.get("") for group in groups}
    users = {group: _user(name) for group, name in names.items() if name}
    for user in users.values():
        if user.uid == 0 and not allow_root:
            raise ConfigError(f"run_as_user: {user.name!r} is root; if that is meant: --allow-root")
    return users


def _user(name: str) -> User:
    try:
        return User.named(name)
    except KeyError:
        message = f"run_as_user: this host has no user {name!r}; {_CREATE.format(name)}"
        raise ConfigError(message) from None


def check_users(users: Mapping[str, User], *, uid: int, gid: int, name: str) -> None:
    """Check that tasks' users are neither the agent's own user nor in its group.

    Raises ConfigError.
    """
    for user in users.values():
        if user.uid == uid:
            raise ConfigError(
                f"run_as_user: {user.name!r} is the agent's own user, whose files and memory "
                "tasks would share: name another, or leave the setting out"
            )
        if gid != 0 and gid in user.groups:
            raise ConfigError(
                f"run_as_user: {user.name!r} is in the agent's group, to which the agent's "
                f"settings are readable: take it out (gpasswd --delete {user.name} {name})"
            )
    if users:
        _check_capabilities()


def _check_capabilities() -> None:
    if not can_change_users():
        raise ConfigError("run_as_user: not known how on this kind of machine; leave it out")
    held = effective_capabilities()
    if lacking := [name for name, number in CAPABILITIES.items() if not held >> number & 1]:
        raise ConfigError(
            f"run_as_user: the agent lacks {', '.join(lacking)}, without which it cannot run "
            "tasks as another user: start it by the unit of `taskrunner install-service`, or as "
            "root"
        )


def open_way(work_dir: Path, users: Mapping[str, User]) -> None:
    """Let tasks' users pass to their own folders, and nowhere else; raises ConfigError."""
    if not users:
        return
    output = work_dir / "output"
    tasks = output / "tmp"
    for folder, mode in (
        (work_dir, 0o711),
        (output, 0o711),
        (tasks, 0o711),
        (output / "logs", 0o700),
        (work_dir / "journal", 0o700),
    ):
        folder.mkdir(exist_ok=True, mode=0o700)
        folder.chmod(mode)
    for user in {user.uid: user for user in users.values()}.values():
        if stuck := said_as(user, lambda: barrier(tasks)):
            raise ConfigError(
                f"run_as_user: {user.name!r} cannot get to its folders, since {stuck} is closed "
                "to others; set --work-dir to a place such as /var/lib/taskrunner"
            )


def barrier(folder: Path) -> str:
    """The outermost folder of the path that this user may not enter."""
    way = [*reversed(folder.parents), folder]
    return next((str(part) for part in way if not os.access(part, os.X_OK)), "")
