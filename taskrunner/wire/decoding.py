"""Decoded JSON to typed values, by the service model: one small function a shape, made once.

Strict, as the service reads requests, every constraint of the model is checked and all violations
are reported together. Lenient, as a client reads replies, types and required members are checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from taskrunner.wire.bindings import binding_of
from taskrunner.wire.shapes import Shape, service_model


class Malformed(ValueError):
    """A value has another type than the model's, or is not JSON at all."""


#: (value, its path, violations found so far) -> typed value; raises Malformed.
Decoder = Callable[[Any, str, list[str]], Any]

#: Text of these shapes may be a secret, so that it is never repeated in a message.
_NEVER_SHOWN = frozenset({"fieldStringValue", "attributeValueString", "longString", "taskId"})
_MOST_SHOWN = 80


@cache
def decoder(shape_name: str, *, strict: bool) -> Decoder:
    """The decoder of a shape of the service model."""
    shape = service_model().shapes[shape_name]
    return _MAKERS[shape.type](shape, strict)


def _structure(shape: Shape, strict: bool) -> Decoder:
    binding = binding_of(shape.name)
    members = {key: decoder(name, strict=strict) for key, name in shape.members.items()}
    required = shape.required

    def decode(value: Any, path: str, violations: list[str]) -> Any:
        if not isinstance(value, dict):
            raise _wrong_type(path, "a structure", value)
        before = len(violations)
        prefix = f"{path}." if path else ""
        found = {
            key: decode_member(value[key], prefix + key, violations)
            for key, decode_member in members.items()
            if value.get(key) is not None
        }
        violations.extend(
            f"Value null at '{prefix}{key}' {_MUST}not be null"
            for key in sorted(required - found.keys())
        )
        if len(violations) > before:
            return None  # the whole message is refused
        try:
            return binding.build(found)
        except ValueError as error:
            violations.append(f"Value at '{path}' failed to satisfy constraint: Member {error}")
            return None

    return decode


_MUST = "failed to satisfy constraint: Member must "


def _list(shape: Shape, strict: bool) -> Decoder:
    item = decoder(shape.element, strict=strict)
    most = shape.maximum if strict else None

    def decode(value: Any, path: str, violations: list[str]) -> Any:
        if not isinstance(value, list):
            raise _wrong_type(path, "a list", value)
        if most is not None and len(value) > most:
            violations.append(f"Value at '{path}' {_MUST}have length less than or equal to {most}")
        return tuple(
            item(element, f"{path}.{number}.member", violations)
            for number, element in enumerate(value, 1)
        )

    return decode


def _map(shape: Shape, strict: bool) -> Decoder:
    item = decoder(shape.element, strict=strict)

    def decode(value: Any, path: str, violations: list[str]) -> Any:
        if not isinstance(value, dict):
            raise _wrong_type(path, "a map", value)
        return {
            key: item(element, f"{path}.{key[:_MOST_SHOWN]}", violations)
            for key, element in value.items()
        }

    return decode


def _string(shape: Shape, strict: bool) -> Decoder:
    def decode_any(value: Any, path: str, violations: list[str]) -> Any:
        if not isinstance(value, str):
            raise _wrong_type(path, "a string", value)
        return value

    checks = _string_checks(shape) if strict else []
    if not checks:
        return decode_any

    def decode(value: Any, path: str, violations: list[str]) -> Any:
        text = decode_any(value, path, violations)
        for satisfied, constraint in checks:
            if not satisfied(text):
                shown = "" if shape.name in _NEVER_SHOWN else f"{text[:_MOST_SHOWN]!r} "
                violations.append(f"Value {shown}at '{path}' {_MUST}{constraint}")
        # The API's text writes FALSE in lower case where its model has capitals.
        return text.upper() if shape.enum else text

    return decode


def _string_checks(shape: Shape) -> list[tuple[Callable[[str], object], str]]:
    checks: list[tuple[Callable[[str], object], str]] = []
    least, most = shape.minimum, shape.maximum
    if least:
        checks.append((lambda t: len(t) >= least, f"have length greater than or equal to {least}"))
    if most is not None:
        checks.append((lambda t: len(t) <= most, f"have length less than or equal to {most}"))
    if shape.pattern is not None:
        checks.append(
            (
                re.compile(shape.pattern).fullmatch,
                f"satisfy regular expression pattern: {shape.pattern}",
            )
        )
    if shape.enum:
        wanted = f"satisfy enum value set: [{', '.join(shape.enum)}]"
        checks.append((lambda t: t.upper() in shape.enum, wanted))
    return checks


def _integer(shape: Shape, strict: bool) -> Decoder:
    def decode(value: Any, path: str, violations: list[str]) -> Any:
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**31:
            raise _wrong_type(path, "an integer of 32 bits", value)
        return value

    return decode


def _boolean(shape: Shape, strict: bool) -> Decoder:
    def decode(value: Any, path: str, violations: list[str]) -> Any:
        if not isinstance(value, bool):
            raise _wrong_type(path, "true or false", value)
        return value

    return decode


def _timestamp(shape: Shape, strict: bool) -> Decoder:
    def decode(value: Any, path: str, violations: list[str]) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(path, "a number of seconds since 1970", value)
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, ValueError, OSError):
            raise Malformed(f"{path}: {value} is no moment between the years 1 and 9999") from None

    return decode


_MAKERS: Mapping[str, Callable[[Shape, bool], Decoder]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _integer,
    "boolean": _boolean,
    "timestamp": _timestamp,
}

_JSON_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a Boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def _wrong_type(path: str, wanted: str, found: Any) -> Malformed:
    return Malformed(f"{path or 'the message'}: wanted {wanted}, found {_JSON_NAMES[type(found)]}")
