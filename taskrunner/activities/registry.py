"""The activities and preconditions that are installed, by object type.

Built-ins and third parties register alike, as entry points; a plugin's module is imported only
when a task names its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points

from taskrunner.activities.base import Activity, Precondition
from taskrunner.errors import ErrorId, PermanentTaskError

__all__ = ["ACTIVITIES", "PRECONDITIONS", "Plugin", "PluginClass", "Registry"]

ACTIVITIES = "taskrunner.activities"
PRECONDITIONS = "taskrunner.preconditions"

PluginClass = type[Activity] | type[Precondition]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One installed activity or precondition."""

    type: str
    group: str
    #: Module and class, as `module:Class`.
    target: str
    #: The distribution that brought it, and that one's version.
    origin: str
    version: str
    _entry_point: EntryPoint = field(repr=False, compare=False)

    def load(self) -> PluginClass:
        """Import the plugin's class; raises PermanentTaskError when that fails."""
        wanted = Activity if self.group == ACTIVITIES else Precondition
        try:
            loaded = self._entry_point.load()
        except Exception as error:
            message = (
                f"the plugin for {self.type} ({self.target}, {self.origin} {self.version}) "
                f"cannot be imported: {error}"
            )
            raise PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE) from error
        if not (isinstance(loaded, type) and issubclass(loaded, wanted)):
            message = f"the plugin for {self.type} ({self.target}) is not an {wanted.__name__}"
            raise PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE)
        return loaded


class Registry:
    """Plugins by type."""

    def __init__(self, plugins: Mapping[str, Plugin]) -> None:
        self.plugins = plugins

    @classmethod
    def installed(cls) -> Registry:
        """Everything that is installed; reads metadata only, imports nothing."""
        found = {}
        for group in (ACTIVITIES, PRECONDITIONS):
            for entry_point in entry_points(group=group):
                found[entry_point.name] = _plugin(entry_point)
        return cls(found)

    def get(self, object_type: str) -> Plugin:
        """The plugin for a type; raises PermanentTaskError that names the known types."""
        plugin = self.plugins.get(object_type)
        if plugin is None:
            known = ", ".join(sorted(self.plugins)) or "none"
            message = f"no plugin for the type {object_type!r} on this host; known: {known}"
            raise PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE)
        return plugin


def _plugin(entry_point: EntryPoint) -> Plugin:
    dist = entry_point.dist
    return Plugin(
        type=entry_point.name,
        group=entry_point.group,
        target=entry_point.value,
        origin=dist.name if dist else "unknown",
        version=dist.version if dist else "unknown",
        _entry_point=entry_point,
    )
