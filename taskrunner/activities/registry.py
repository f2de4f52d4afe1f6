"""The activities and preconditions of this host, by object type."""

from __future__ import annotations

from collections.abc import Mapping

from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.plugins import discovery as plugins
from taskrunner.plugins.discovery import Kind, Plugin


class Registry:
    """Plugins by type."""

    def __init__(self, found: Mapping[str, Plugin]) -> None:
        self.plugins = found

    @classmethod
    def installed(cls) -> Registry:
        """Everything that is installed; reads metadata only, imports nothing."""
        kinds = {Kind.ACTIVITY, Kind.PRECONDITION}
        found = [plugin for plugin in plugins.installed() if plugin.kind in kinds]
        # Of a name that several claim, the one that is used.
        found.sort(key=lambda plugin: plugin.refused is None)
        return cls({plugin.name: plugin for plugin in found})

    def get(self, object_type: str) -> Plugin:
        """The plugin for a type; raises PermanentTaskError that names the known types."""
        plugin = self.plugins.get(object_type)
        if plugin is None:
            known = ", ".join(sorted(self.plugins)) or "none"
            message = f"no plugin for the type {object_type!r} on this host; known: {known}"
            raise PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE)
        return plugin
