"""The service model: the shapes of every operation's request, reply and errors, as AWS wrote them.

Read from `data/service-2.json`, the file that the AWS SDKs are generated from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One type of the wire: a structure, list, map, string, integer, boolean or timestamp."""

    name: str
    type: str
    #: Of a structure: wire name of each member -> name of its shape.
    members: Mapping[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    #: Of a list: the shape of its items; of a map: of its values.
    element: str = ""
    minimum: int | None = None
    maximum: int | None = None
    #: A regular expression for the whole of a string.
    pattern: str | None = None
    enum: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationShape:
    """An operation: the names of its shapes."""

    name: str
    input: str
    output: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceModel:
    """The whole model."""

    operations: Mapping[str, OperationShape]
    shapes: Mapping[str, Shape]


@cache
def service_model() -> ServiceModel:
    """The model, read once."""
    # Not by importlib.resources, whose import takes longer than all of this.
    raw = json.loads(Path(__file__).with_name("data").joinpath("service-2.json").read_bytes())
    return ServiceModel(
        operations={name: _operation(name, item) for name, item in raw["operations"].items()},
        shapes={name: _shape(name, item) for name, item in raw["shapes"].items()},
    )


def _operation(name: str, raw: Mapping[str, Any]) -> OperationShape:
    return OperationShape(
        name=name,
        input=raw["input"]["shape"],
        output=raw["output"]["shape"] if "output" in raw else None,
    )


def _shape(name: str, raw: Mapping[str, Any]) -> Shape:
    return Shape(
        name=name,
        type=raw["type"],
        members={key: item["shape"] for key, item in raw.get("members", {}).items()},
        required=frozenset(raw.get("required", ())),
        element=raw.get("member", raw.get("value", {})).get("shape", ""),
        minimum=raw.get("min"),
        maximum=raw.get("max"),
        pattern=_pattern(raw.get("pattern")),
        enum=tuple(raw.get("enum", ())),
    )


def _pattern(text: str | None) -> str | None:
    # The model counts in UTF-16: its pairs of surrogates are the characters beyond U+FFFF.
    return text and text.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
