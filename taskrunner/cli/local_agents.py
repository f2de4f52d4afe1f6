"""The agents of resources on the service's host: what they are told, and as whom tasks run.

A definition runs any command. If that runs as the service's own user it can read the access keys,
the store with its secrets, and the folders of other tasks; so this is refused unless it was asked
for, or nobody needs a key anyway.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taskrunner.data.settings import check_endpoint
from taskrunner.errors import ConfigError, UsageError
from taskrunner.host.users import User, said_as

if TYPE_CHECKING:
    from taskrunner.cli.start_checks import Process
    from taskrunner.service.resources.local import LocalProcesses

#: What the service knows and its agents need not: whoever reads their environment would have it.
_OF_THE_SERVICE = ("TASKRUNNER_CREDENTIALS_FILE", "TASKRUNNER_DATABASE_URL")
#: Beside a SQLite store there are others with the same content.
_BESIDE_STORE = ("", "-wal", "-shm", "-journal", "-key")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAgents:
    """How agents of resources are started on this host."""

    #: Where they work and log.
    folder: Path
    region: str
    s3_root: Path | None = None
    s3_endpoint: str | None = None
    #: The user that tasks run as, if one is named on the command line.
    run_as_user: str | None = None
    #: Whether tasks may run as the service's own user although calls are signed.
    as_service_user: bool = False

    def arguments(self) -> list[str]:
        """What each agent is started with, besides its worker group."""
        args = ["--region", self.region]
        if self.run_as_user is not None:
            args += ["--run-as-user", self.run_as_user]
        if self.s3_root is not None:
            args += ["--s3-root", str(self.s3_root)]
        if self.s3_endpoint is not None:
            args += ["--s3-endpoint", check_endpoint(self.s3_endpoint)]
        return args

    def processes(self, url: str, environ: Mapping[str, str]) -> LocalProcesses:
        """What starts them."""
        from taskrunner.service.resources.local import LocalProcesses

        env = resource_environment(environ, url)
        return LocalProcesses(
            self.arguments(), folder=self.folder, logs=self.folder / "logs", env=env
        )

    def task_user(self, environ: Mapping[str, str], *, keys: Path | None) -> User | None:
        """The user that tasks are to run as; None: the service's own.

        Raises UsageError when that is not to be, ConfigError when it cannot be.
        """
        # Only where there are to be agents: a service without them need not hold all this.
        from taskrunner.cli.start_checks import Process, check_start
        from taskrunner.config.load import load

        flags: dict[str, object] = {"worker_group": ("resource:",)}
        if self.run_as_user is not None:
            flags["run_as_user"] = (self.run_as_user,)
        settings = load(flags, resource_environment(environ, "http://localhost")).settings
        name = settings.run_as_user.get("")
        if name is not None and self.as_service_user:
            raise UsageError(
                f"--tasks-as-service-user, and a user for tasks ({name}): one or the other"
            )
        this = Process.this()
        if name is None:
            self._check_own_user(this, keys=keys, allow_root=settings.allow_root)
            return None
        try:
            check_start(settings, this)
            return User.named(name)
        except ConfigError as error:
            raise ConfigError(f"--resources: {error}") from None

    def _check_own_user(self, this: Process, *, keys: Path | None, allow_root: bool) -> None:
        if keys is not None and not self.as_service_user:
            raise UsageError(
                f"--resources: tasks would run as {this.name!r}, this service's own user, "
                f"and could read its access keys ({keys}), its store and each other's folders. "
                "Name another user for them with --run-as-user USER, send them to an agent that "
                "has one (--resources group=NAME), or give --tasks-as-service-user if whoever may "
                "put definitions may do all that this service may"
            )
        if this.uid == 0 and not allow_root:
            raise ConfigError(
                "--resources: tasks would run as root: name another user for them with "
                "--run-as-user USER; if root is really meant, set TASKRUNNER_ALLOW_ROOT=true"
            )

    def open_way(self, user: User | None) -> None:
        """Make the folder, and let tasks pass to their own below it. Raises ConfigError."""
        from taskrunner.agent.isolation.users import barrier

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if user is not None:
                self.folder.chmod(0o711)
        except OSError as error:
            raise ConfigError(f"--work-dir {self.folder}: {error.strerror}") from None
        if user is not None and (stuck := said_as(user, lambda: barrier(self.folder))):
            raise ConfigError(
                f"--run-as-user: {user.name!r} cannot get to {self.folder}, since {stuck} is "
                "closed to others; set --work-dir to a place such as /var/lib/taskrunner-resources"
            )


def check_private(user: User | None, private: Sequence[Path]) -> None:
    """Refuse what tasks could read or change although it is the service's. Raises ConfigError."""
    if user is None:
        return
    if found := said_as(user, lambda: _within_reach(private)):
        raise ConfigError(
            f"--resources: tasks run as {user.name!r}, who {found}; it holds secrets of this "
            "service: chmod it, or name another user with --run-as-user"
        )


def store_files(database_url: str) -> list[Path]:
    """The files of a store that is on this host."""
    from sqlalchemy.engine import make_url

    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return []
    path = Path(url.database).absolute()
    return [path.with_name(path.name + end) for end in _BESIDE_STORE]


def _within_reach(private: Sequence[Path]) -> str:
    """The first of these that this process may read or change, in words."""
    for path in private:
        if os.access(path, os.R_OK):
            return f"can read {path}"
        if os.access(path, os.W_OK):
            return f"can write to {path}"
        if _replaceable(path):
            return f"can replace {path}, since {path.parent} is open to it"
    return ""


def _replaceable(path: Path) -> bool:
    if not (os.access(path.parent, os.W_OK | os.X_OK) and path.exists()):
        return False
    found = path.parent.stat()
    # In a folder such as /tmp everybody may remove only what is theirs.
    return not found.st_mode & 0o1000 or path.lstat().st_uid == os.getuid()


def resource_environment(environ: Mapping[str, str], url: str) -> dict[str, str]:
    """What the agents of local resources are told: most of the service's variables are for them.

    The file in /etc is not, unless it is named: it is that of the agent installed on this host.
    Nor is what leads to the store and to the keys.
    """
    config = environ.get("TASKRUNNER_CONFIG") or os.devnull
    passed = {name: value for name, value in environ.items() if name not in _OF_THE_SERVICE}
    return {**passed, "TASKRUNNER_CONFIG": config, "TASKRUNNER_ENDPOINT": url}
