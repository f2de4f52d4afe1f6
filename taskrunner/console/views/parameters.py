"""The parameters of a definition, as a form asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from taskrunner.secret import is_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter, and what it has where the form says nothing."""

    id: str
    description: str
    type: str
    #: Nothing for a secret: it is not shown, and not asked for in a page either.
    value: str
    allowed: Sequence[str]
    secret: bool
    #: What the form has for it from the start; nothing: it stays as it is.
    filled: str = ""


def with_values_of(found: Sequence[Parameter], earlier: Mapping[str, Any]) -> Sequence[Parameter]:
    """The parameters, filled with what an earlier version of the definition had for them.

    What is the same now needs no filling, secrets are not shown, and several values of one are not
    one text.
    """
    was = {one.id: one for one in parameters_of(earlier)}
    values = earlier.get("values") or {}
    return [
        replace(one, filled=was[one.id].value)
        if one.id in was
        and was[one.id].value != one.value
        and not isinstance(values.get(one.id), list | tuple)
        else one
        for one in found
    ]


def parameters_of(definition: Mapping[str, Any]) -> Sequence[Parameter]:
    """Those that the definition has, in its order."""
    values = definition.get("values") or {}
    return [_parameter(found, values) for found in definition.get("parameters") or ()]


def _parameter(found: Mapping[str, Any], values: Mapping[str, Any]) -> Parameter:
    key = str(found.get("id", ""))
    secret = is_secret(key)
    allowed = found.get("allowedValues") or ()
    value = values.get(key, found.get("default", ""))
    return Parameter(
        id=key,
        description=str(found.get("description", "")),
        type=str(found.get("type", "String")),
        value="" if secret else _text(value),
        allowed=[str(one) for one in ([allowed] if isinstance(allowed, str) else allowed)],
        secret=secret,
    )


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
