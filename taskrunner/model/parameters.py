"""Parameters of a definition: which values they have, and giving them others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from taskrunner.model.document import Definition, ParameterValue


def parameter_values(definition: Definition) -> Mapping[str, tuple[str, ...]]:
    """The values of every parameter that has any: those given, else its default's."""
    found: dict[str, list[str]] = {}
    for item in definition.values:
        found.setdefault(item.id, []).append(item.value)
    for parameter in definition.parameters:
        default = parameter.attribute_values("default")
        if default and parameter.id not in found:
            found[parameter.id] = list(default)
    return {key: tuple(values) for key, values in found.items()}


def with_values(definition: Definition, values: Mapping[str, Sequence[str]]) -> Definition:
    """The definition with these values in place of those that it gives for the same parameters."""
    kept = [item for item in definition.values if item.id not in values]
    given = [ParameterValue(id=key, value=text) for key, texts in values.items() for text in texts]
    return replace(definition, values=(*kept, *given))
