"""What the objects of delimited formats say: characters, and columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.task import TaskObject

#: How authors write a character that JSON does not show well.
_SPELLED = {r"\t": "\t", r"\n": "\n", r"\r": "\r", r"\0": "\0", r"\\": "\\"}
_CODE_POINT = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))")
_BETWEEN_COLUMNS = re.compile(r",(?![^(]*\))")


def character(described: TaskObject, key: str, default: str | None) -> str:
    """A field that is a character, which may be spelled out; raises PermanentTaskError."""
    value = described.get(key, default)
    if value is None:
        value = described.required(key)
    match = _CODE_POINT.fullmatch(value)
    character = chr(int(match[1] or match[2], 16)) if match else _SPELLED.get(value, value)
    if len(character) != 1:
        raise invalid(described, f"field {key!r}: found {value!r}, wanted a single character")
    return character


def split_columns(values: Sequence[str]) -> list[str]:
    """Each `name TYPE` of some of them, or of lists with commas."""
    parts = (part.strip() for value in values for part in _BETWEEN_COLUMNS.split(value))
    return [part for part in parts if part]


def column_names(values: Sequence[str]) -> tuple[str, ...]:
    """The names in `name TYPE`, or `name TYPE, name TYPE`."""
    return tuple(part.split()[0].strip('`"') for part in split_columns(values))


def invalid(described: TaskObject, problem: str) -> PermanentTaskError:
    """The error for a field of no use."""
    message = f"{described.type} {described.component_id!r}: {problem}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
