"""What the fork server's children do, and what the server loads beforehand for all of them."""

from __future__ import annotations

import gc
import importlib
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from taskrunner.activities.registry import Registry
from taskrunner.agent.attempt_process.child import prepare_attempt
from taskrunner.agent.attempt_process.folders import remove_as_user
from taskrunner.agent.forks.forkserver import Role
from taskrunner.agent.ipc.attempt_roles import (
    ATTEMPT,
    CLEANER,
    LOADER,
    SHIPPER,
    AttemptSettings,
)
from taskrunner.data.settings import DataSettings
from taskrunner.errors import TaskError
from taskrunner.host.local_files import LocalFiles
from taskrunner.host.users import User
from taskrunner.model.catalog.effects import effect_of

#: A bad network costs a log the part under way, not all that went before.
_TRIES = 7
#: Small, and used by most tasks: loaded once here, it costs no task any time.
_WARM = ("taskrunner.activities.shell", "taskrunner.model.catalog.effect_rows")


def log_data(settings: AttemptSettings, user: str | None) -> DataSettings:
    """Where logs may be pushed on this host: with a user's rights, or where the operator says."""
    if user is not None:
        local = LocalFiles(user=settings.users.get(user) or User.named(user))
    else:
        listed = settings.data.local.folders
        local = replace(settings.data.local, folders=(*listed, *settings.log_places))
    return replace(settings.data, local=local)


class Loader:
    """Loads a plugin in the fork server once a second task wants it, so that no third one has to.

    Importing a plugin of ours takes longer than the rest of a short attempt. Those of others stay
    out of this process, which outlives every attempt.
    """

    def __init__(self, registry: Registry) -> None:
        self._plugins = registry.plugins
        self._wanted: set[str] = set()
        self._loaded: set[str] = set()

    def __call__(self, payload: bytes, _descriptor: int | None) -> None:
        """The name of a type, for which a task has come."""
        kind = payload.decode()
        effect_of(kind, "type")  # from now on what the fields of the type do is known
        plugin = self._plugins.get(kind)
        if plugin is None or not plugin.built_in or kind in self._loaded:
            return
        if kind not in self._wanted:
            self._wanted.add(kind)
            return
        self._loaded.add(kind)
        with suppress(TaskError):  # told by the attempt, which tries it again
            plugin.load()
        # Never freed, so that a collection in an attempt does not copy its pages.
        gc.freeze()


def make_roles(settings: AttemptSettings) -> Mapping[str, Role]:
    """The roles by name; called in the fork server."""
    registry, own = Registry.installed(), User.of_this_process()
    for module in _WARM:
        importlib.import_module(module)

    def attempt(payload: bytes, _descriptor: int | None) -> Callable[[], None]:
        return prepare_attempt(payload, settings, registry, own)

    def shipper(_payload: bytes, descriptor: int | None) -> None:
        from taskrunner.agent.logs.uploads import serve_uploads
        from taskrunner.data.objects.store import open_store

        with socket.socket(fileno=descriptor) as sock:
            serve_uploads(sock, lambda user: open_store(log_data(settings, user), tries=_TRIES))

    def cleaner(payload: bytes, _descriptor: int | None) -> None:
        remove_as_user(payload, settings.users)

    return {ATTEMPT: attempt, CLEANER: cleaner, LOADER: Loader(registry), SHIPPER: shipper}
