"""Data formats by the type of their object; plugins are imported only when named."""

from __future__ import annotations

from importlib.metadata import entry_points

from taskrunner.data.formats.base import Format
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.task import TaskObject

__all__ = ["format_of"]

_GROUP = "taskrunner.formats"
#: What a data node without a dataFormat holds.
_DEFAULT = "CSV"


def format_of(described: TaskObject | None) -> Format:
    """The format that a dataFormat object describes; raises PermanentTaskError."""
    name = described.type if described is not None else _DEFAULT
    found = entry_points(group=_GROUP, name=name)
    if not found:
        known = ", ".join(sorted(entry_points(group=_GROUP).names)) or "none"
        message = f"the data format {name!r} is not supported for copying; known: {known}"
        raise PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE)
    plugin: type[Format] = next(iter(found)).load()
    return plugin.from_object(described)
