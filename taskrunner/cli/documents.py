"""A definition from its files: the definition's own, and those of parameters and values."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from taskrunner.data.databases.validation import know_connections
from taskrunner.errors import UsageError
from taskrunner.model.document import Definition, ParameterObject, ParameterValue
from taskrunner.model.parameters import with_values
from taskrunner.model.reader import (
    Document,
    decode,
    read_document,
    read_parameters,
    read_values,
)
from taskrunner.plugins.types import know_plugin_types

_STDIN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a definition comes from; `params` are `id=value`, and win over the files."""

    path: str
    parameters_file: str | None = None
    values_file: str | None = None
    params: tuple[str, ...] = ()
    resource: str | None = None


def read_text(path: str) -> str:
    """The text of a file, `-` for standard input.

    Raises UsageError when it cannot be opened, DefinitionError when it is not UTF-8.
    """
    try:
        data = sys.stdin.buffer.read() if path == _STDIN else Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise UsageError(f"{path}: cannot be read: {reason}") from None
    return decode(data, source=path)


def load_document(sources: Sources) -> Document:
    """Read every file and put the values in; raises UsageError and DefinitionError.

    From then on types of installed plugins are known as well.
    """
    know_plugin_types()
    know_connections()
    given = parse_params(sources.params)
    text = read_text(sources.path)
    document = read_document(text, source=sources.path, resource=sources.resource)
    definition = document.definition
    if sources.parameters_file is not None:
        path = sources.parameters_file
        definition = _with_parameters(definition, read_parameters(read_text(path), source=path))
    if sources.values_file is not None:
        path = sources.values_file
        definition = with_values(definition, _texts(read_values(read_text(path), source=path)))
    return replace(document, definition=with_values(definition, given))


def parse_params(params: Iterable[str]) -> dict[str, list[str]]:
    """`id=value` words by id; raises UsageError for a word without an id or `=`."""
    values: dict[str, list[str]] = {}
    for word in params:
        key, sign, value = word.partition("=")
        if not key or not sign:
            # It is not told: where the id was forgotten it is a value, which may be a secret.
            raise UsageError("--param: found a word without an id or =, wanted id=value")
        values.setdefault(key, []).append(value)
    return values


def _texts(values: Iterable[ParameterValue]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for value in values:
        found.setdefault(value.id, []).append(value.value)
    return found


def _with_parameters(definition: Definition, parameters: Iterable[ParameterObject]) -> Definition:
    """Declarations of another file in place of those with the same id; without their lines."""
    given = {item.id: replace(item, position=None) for item in parameters}
    kept = [item for item in definition.parameters if item.id not in given]
    return replace(definition, parameters=(*kept, *given.values()))
