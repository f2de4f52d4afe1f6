"""Checks of parameters: their declarations, and the values given for them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from taskrunner.model.document import ParameterObject, Position, Unresolved
from taskrunner.model.masks import MASK
from taskrunner.model.validate.context import Context
from taskrunner.model.validate.values import number
from taskrunner.secret import is_secret

_TYPES = ("String", "Integer", "Double", "AWS::S3::ObjectKey")
# AWS took `string` too, as published definitions show.
_TYPES_LOWERED = frozenset(name.lower() for name in _TYPES)
_ATTRIBUTES = frozenset(
    {"type", "description", "optional", "allowedValues", "default", "isArray"}
    | {"watermark", "helpText", "helpLink"}
)
_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")


def check_parameters(context: Context) -> None:
    """Every declared parameter is well declared and has the values that it needs."""
    seen: set[str] = set()
    for parameter in context.definition.parameters:
        if parameter.id in seen:
            message = f"two parameters have the id {parameter.id!r}"
            _add(context, "duplicate-parameter", message, parameter, "id")
            continue
        seen.add(parameter.id)
        _check_declaration(context, parameter)
        _check_values(context, parameter)
    _check_undeclared(context)


def _check_declaration(context: Context, parameter: ParameterObject) -> None:
    if not parameter.id.removeprefix("*").startswith("my"):
        message = f"found the id {parameter.id!r}, wanted one that starts with my (or *my)"
        _add(context, "parameter-name", message, parameter, "id")
    kind = parameter.attribute("type")
    if kind is not None and not _is_type(kind):
        near = context.names.near(kind, _TYPES)
        message = f"found the type {kind!r}, wanted one of {', '.join(_TYPES)}{near}"
        _add(context, "unknown-parameter-type", message, parameter, "type")
    for key in ("optional", "isArray"):
        text = parameter.attribute(key)
        if text is not None and text.strip().lower() not in {"true", "false"}:
            message = f"found {text!r}, wanted true or false"
            _add(context, "bad-parameter-flag", message, parameter, key)
    _check_attributes(context, parameter)


def _is_type(kind: str) -> bool:
    return isinstance(kind, Unresolved) or kind.lower() in _TYPES_LOWERED


def _check_attributes(context: Context, parameter: ParameterObject) -> None:
    names = dict.fromkeys(name for name, _ in parameter.attributes)
    unknown = [n for n in names if n not in _ATTRIBUTES and not n.startswith("my")]
    if unknown:
        near = context.names.near(unknown[0], _ATTRIBUTES)
        message = f"parameters have no attribute {', '.join(map(repr, unknown))}{near}"
        _add(context, "parameter-attribute", message, parameter, unknown[0])


def _is_set(parameter: ParameterObject, key: str) -> bool:
    return (parameter.attribute(key) or "").strip().lower() == "true"


def _check_values(context: Context, parameter: ParameterObject) -> None:
    given = context.given.get(parameter.id, ())
    values = [value.value for value in given] or list(parameter.attribute_values("default"))
    position = given[0].position if given else parameter.position
    if not values:
        if not _is_set(parameter, "optional"):
            message = "no value is given, there is no default, and it is not optional"
            _add(context, "parameter-without-value", message, parameter, None)
        return
    if len(values) > 1 and not _is_set(parameter, "isArray"):
        message = f"found {len(values)} values, wanted one, as isArray is not true"
        _add(context, "parameter-not-array", message, parameter, None, position)
    for text in values:
        _check_value(context, parameter, text, position)


def _check_value(
    context: Context, parameter: ParameterObject, text: str, position: Position | None
) -> None:
    masked = is_secret(parameter.id) and text == MASK
    if isinstance(text, Unresolved) or "#{" in text or masked:
        return
    kind = (parameter.attribute("type") or "string").lower()
    wrong = _wrong_type(kind, text)
    if wrong is not None:
        message = f"found {text!r}, {wrong}"
        _add(context, "wrong-parameter-type", message, parameter, None, position)
    if kind == "aws::s3::objectkey" and text and not text.startswith("s3://"):
        message = f"found {text!r}, wanted an S3 path: s3://bucket/key"
        _add(context, "not-s3-path", message, parameter, None, position)
    allowed = parameter.attribute_values("allowedValues")
    if is_secret(parameter.id) and MASK in allowed:
        return
    if allowed and text not in allowed:
        near = context.names.near(text, allowed)
        message = f"found {text!r}, wanted one of {_list(allowed)}{near}"
        _add(context, "value-not-allowed", message, parameter, None, position)


def _wrong_type(kind: str, text: str) -> str | None:
    if kind == "integer" and not _INTEGER.fullmatch(text):
        return "wanted a whole number (Integer)"
    if kind == "double" and number(text) is None:
        return "wanted a number (Double)"
    return None


def _list(allowed: Sequence[str]) -> str:
    shown = ", ".join(allowed[:10])
    return shown if len(allowed) <= 10 else f"{shown}, ..."


def _check_undeclared(context: Context) -> None:
    noted: set[str] = set()
    for value in context.definition.values:
        if value.id in context.declared or value.id in noted:
            continue
        noted.add(value.id)
        near = context.names.near(value.id, context.declared)
        message = f"a value is given for {value.id!r}, which no parameter declares{near}"
        context.add("undeclared-parameter", message, object_id=value.id, position=value.position)


def _add(
    context: Context,
    code: str,
    message: str,
    parameter: ParameterObject,
    key: str | None,
    position: Position | None = None,
) -> None:
    place = position or parameter.position
    context.add(code, message, object_id=parameter.id, key=key, position=place)
