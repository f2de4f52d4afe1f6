"""Data formats by the type of their object; plugins are imported only when named."""

from __future__ import annotations

from taskrunner.data.formats.base import Format
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.task import TaskObject
from taskrunner.plugins import discovery as plugins
from taskrunner.plugins.discovery import Kind

#: What a data node without a dataFormat holds.
_DEFAULT = "CSV"


def format_of(described: TaskObject | None) -> Format:
    """The format that a dataFormat object describes; raises PermanentTaskError."""
    name = described.type if described is not None else _DEFAULT
    found = plugins.named(name, Kind.FORMAT)
    if found is None:
        known = ", ".join(plugins.names(Kind.FORMAT)) or "none"
        message = f"the data format {name!r} is not supported for copying; known: {known}"
        raise PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE)
    plugin: type[Format] = found.load()
    return plugin.from_object(described)
