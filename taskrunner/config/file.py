"""A configuration file: TOML, or AWS Task Runner's credentials.json; each key with its line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from taskrunner.errors import ConfigError

#: Names in AWS Task Runner's credentials.json that differ from ours by more than the dash.
_CREDENTIALS_KEYS = {"private_key": "secret_key"}
_OLD_KEYS = {"secret_key": ("private-key", "private_key")}
#: Far more than any setting has; what is deeper could not even be shown in an error.
_DEEPEST = 20
#: As TOML has it. Larger ones overflow in whatever reads them.
_MOST_BITS = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """What a file says of one key, and where; the line is none where it cannot be found."""

    value: object
    line: int | None


def read_entries(path: Path) -> dict[str, Entry]:
    """What a file says, by key in our writing; raises ConfigError, or FileNotFoundError."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        reason = _why_unreadable(path, error)
        raise ConfigError(f"{path}: the configuration file cannot be read: {reason}") from None
    try:
        content = _json(path, text) if text.lstrip().startswith("{") else _toml(path, text)
        if problem := _beyond_bounds(content):
            raise ConfigError(f"{path}: {problem}")
    except RecursionError:
        raise ConfigError(f"{path}: {_TOO_DEEP}") from None
    return {key: Entry(value, _line_of(key, text)) for key, value in content.items()}


def _why_unreadable(path: Path, error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    if not isinstance(error, PermissionError):
        return error.strerror or str(error)
    try:
        found = path.stat()
    except OSError:
        return f"a folder above it is closed to this process (user id {os.geteuid()})"
    return (
        f"permission denied to user id {os.geteuid()}; its owner is {found.st_uid}, its group "
        f"{found.st_gid}, its mode {found.st_mode & 0o7777:o}: `chgrp taskrunner` and `chmod 640` "
        "it for the agent of systemd"
    )


def _toml(path: Path, text: str) -> dict[str, object]:
    import tomllib  # most agents have no file

    try:
        return tomllib.loads(text)
    except ValueError as error:  # also for a number of more digits than Python reads
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _json(path: Path, text: str) -> dict[str, object]:
    """AWS Task Runner's credentials.json: access-id, private-key, endpoint, region, ..."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON: {error}") from None
    plain = {key.replace("-", "_"): value for key, value in content.items()}
    return {_CREDENTIALS_KEYS.get(key, key): value for key, value in plain.items()}


_TOO_DEEP = f"lists or tables in more than {_DEEPEST} others, which no setting has"


def _beyond_bounds(content: Mapping[str, object]) -> str | None:
    """What no setting is, and of which even the error could not be told."""
    left: list[tuple[object, int]] = [(content, 0)]
    while left:
        value, depth = left.pop()
        if depth > _DEEPEST:
            return _TOO_DEEP
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            return f"a number of more than {_MOST_BITS} bits, which no setting takes"
        if isinstance(value, Mapping):
            left += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, list):
            left += [(item, depth + 1) for item in value]
    return None


def _line_of(key: str, text: str) -> int | None:
    """The line of a top-level key: `key = ...`, a table's `[key]`, JSON's `"key": ...`."""
    name = re.escape(key).replace("_", "[_-]")
    names = "|".join([name, *(re.escape(old) for old in _OLD_KEYS.get(key, ()))])
    match = re.search(rf"""^[\s{{]*\[*["']?(?:{names})["']?\s*[]=.:]""", text, re.MULTILINE)
    # Several keys in one line, as JSON may have them, are found by their quotes alone.
    match = match or re.search(rf'"(?:{names})"\s*:', text)
    return text.count("\n", 0, match.end()) + 1 if match else None
