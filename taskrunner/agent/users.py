"""Whose rights tasks have: what the settings may ask for, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taskrunner.errors import ConfigError

__all__ = ["check_root"]


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
