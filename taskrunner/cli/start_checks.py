"""What an agent refuses at its start although each setting by itself is right.

The agent looks before it makes anything; `taskrunner config check` looks at the same, so that
neither approves what the other refuses.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from taskrunner.agent.isolation.users import check_root, check_users, users_by_group
from taskrunner.config.load import Examined
from taskrunner.config.settings import Settings
from taskrunner.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """As whom an agent runs."""

    uid: int
    gid: int

    @classmethod
    def this(cls) -> Process:
        """An agent that is started here and now."""
        return cls(uid=os.geteuid(), gid=os.getegid())

    @property
    def name(self) -> str:
        """The user's name, or the number of one without."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


def check_start(settings: Settings, process: Process) -> None:
    """Raises ConfigError for the first thing that would not do."""
    for check in _CHECKS:
        check.look(settings, process)


def refusals(found: Examined, process: Process) -> Iterator[str]:
    """A sentence for each thing that would not do, as far as the values that are right tell."""
    settings = found.settings
    for check in _CHECKS:
        if not found.values.keys() >= {*check.needs}:
            continue
        try:
            check.look(settings, process)
        except ConfigError as error:
            origin = found.origins[check.about]
            yield str(error) if origin == "default" else f"{origin}: {error}"


def _root(settings: Settings, process: Process) -> None:
    check_root(
        settings.worker_group,
        settings.run_as_user,
        allow_root=settings.allow_root,
        uid=process.uid,
    )


def _databases(settings: Settings, _process: Process) -> None:
    """Refuse redirections that no task could use."""
    if settings.databases:
        from taskrunner.data.databases.registry import check_url

        for object_id, url in settings.databases.items():
            check_url(object_id, url)


def _task_users(settings: Settings, process: Process) -> None:
    if settings.run_as_user:
        users = users_by_group(
            settings.worker_group, settings.run_as_user, allow_root=settings.allow_root
        )
        check_users(users, uid=process.uid, gid=process.gid, name=process.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    look: Callable[[Settings, Process], None]
    #: The setting that it is about.
    about: str
    #: The settings that it looks at.
    needs: tuple[str, ...]


_WHO = ("worker_group", "run_as_user", "allow_root")
_CHECKS = (
    _Check(look=_root, about="run_as_user", needs=_WHO),
    _Check(look=_databases, about="databases", needs=("databases",)),
    _Check(look=_task_users, about="run_as_user", needs=_WHO),
)
