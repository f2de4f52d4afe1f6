"""Dataclasses as JSON: read strictly, written, and described as JSON Schema. One rule a type.

Names of members are those of the dataclass's fields. Members that are None are left out of what is
written; a member that is not known is refused, so that a slip of the pen is never ignored.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any

from taskrunner.errors import InvalidRequest

#: Where dataclasses that are named in the OpenAPI document stand.
REFERENCES = "#/components/schemas/"


def about(
    text: str,
    *,
    default: Any = dataclasses.MISSING,
    default_factory: Any = dataclasses.MISSING,
    least: int | None = None,
    most: int | None = None,
) -> Any:
    """A member with what it means; `least` and `most` bound a number, or the length of a list."""
    told = {"doc": text, "least": least, "most": most}
    if default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=default_factory, metadata=told)
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=told)
    return dataclasses.field(default=default, metadata=told)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a dataclass as JSON knows it."""

    name: str
    type: Any
    required: bool
    doc: str
    least: int | None
    most: int | None
    default: Any


@cache
def members(cls: type) -> Mapping[str, Member]:
    """The members of a dataclass by their names."""
    hints = typing.get_type_hints(cls)
    return {
        f.name: Member(
            name=f.name,
            type=hints[f.name],
            required=f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING,
            doc=f.metadata.get("doc", ""),
            least=f.metadata.get("least"),
            most=f.metadata.get("most"),
            default=f.default,
        )
        for f in dataclasses.fields(cls)
    }


# -- reading ------------------------------------------------------------------------------------


def read(cls: type, found: Any, *, where: str = "the request") -> Any:
    """The value of a dataclass that decoded JSON holds. Raises InvalidRequest."""
    if not isinstance(found, dict):
        raise InvalidRequest(f"{where}: wanted an object, found {_kind(found)}")
    known = members(cls)
    unknown = sorted(found.keys() - known.keys())
    if unknown:
        raise InvalidRequest(
            f"{where}: {unknown[0]!r} is not known: wanted {', '.join(known) or 'nothing'}"
        )
    given = {key: value for key, value in found.items() if value is not None}
    missing = [name for name, member in known.items() if member.required and name not in given]
    if missing:
        raise InvalidRequest(f"{where}: {missing[0]!r} is missing")
    return cls(**{key: _read_member(known[key], value) for key, value in given.items()})


def _read_member(member: Member, value: Any) -> Any:
    read_value = _value(member.type, value, member.name)
    size = read_value if isinstance(read_value, int) else None
    if isinstance(read_value, tuple):
        size = len(read_value)
    if size is not None:
        _check_bounds(member, size, " values" if isinstance(read_value, tuple) else "")
    return read_value


def _check_bounds(member: Member, size: int, what: str) -> None:
    least, most = member.least, member.most
    if least is not None and size < least:
        raise InvalidRequest(f"{member.name}: wanted {least} or more{what}, found {size}")
    if most is not None and size > most:
        raise InvalidRequest(f"{member.name}: wanted at most {most}{what}, found {size}")


def _value(kind: Any, value: Any, where: str) -> Any:
    """A value of a type. Raises InvalidRequest."""
    if kind is Any:
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        return _value(_without_none(arguments), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise InvalidRequest(f"{where}: wanted a list, found {_kind(value)}")
        return tuple(_value(arguments[0], item, f"{where}[{n}]") for n, item in enumerate(value))
    if origin is not None:  # Mapping[str, X]
        if not isinstance(value, dict):
            raise InvalidRequest(f"{where}: wanted an object, found {_kind(value)}")
        return {key: _value(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return read(typing.cast("type", kind), value, where=where)
    return _plain(kind, value, where)


def _plain(kind: type, value: Any, where: str) -> Any:
    if issubclass(kind, StrEnum):
        if value not in list(kind):
            raise InvalidRequest(f"{where}: wanted {', '.join(kind)}, found {value!r}")
        return kind(value)
    if issubclass(kind, datetime):
        return _moment(value, where)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InvalidRequest(f"{where}: wanted {_NAMES[kind]}, found {_kind(value)}")
    return value


def _moment(value: Any, where: str) -> datetime:
    with_zone = str(value).upper().replace("Z", "+00:00") if isinstance(value, str) else ""
    try:
        moment = datetime.fromisoformat(with_zone)
    except ValueError:
        raise InvalidRequest(
            f"{where}: wanted a moment such as 2026-01-31T02:00:00Z, found {value!r}"
        ) from None
    # Without a zone it is UTC, as everywhere in definitions.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_NAMES: Mapping[type, str] = {str: "text", int: "a whole number", bool: "true or false"}


def _without_none(arguments: Sequence[Any]) -> Any:
    return next(kind for kind in arguments if kind is not type(None))


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return names.get(type(value), "a number")


def from_texts(cls: type, texts: Mapping[str, Sequence[str]]) -> Mapping[str, Any]:
    """What `read` takes, of the texts of a query or a path. Raises InvalidRequest."""
    known = members(cls)
    found: dict[str, Any] = {}
    for name, given in texts.items():
        member = known.get(name)
        found[name] = list(given) if member is None else _of_texts(member, given)
    return found


def _of_texts(member: Member, given: Sequence[str]) -> Any:
    kind = member.type
    if typing.get_origin(kind) in {types.UnionType, typing.Union}:
        kind = _without_none(typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return list(given)
    if len(given) > 1:
        raise InvalidRequest(f"{member.name}: wanted one value, found {len(given)}")
    text = given[0]
    if kind is bool:
        if text not in {"true", "false"}:
            raise InvalidRequest(f"{member.name}: wanted true or false, found {text!r}")
        return text == "true"
    if kind is int:
        if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit():
            raise InvalidRequest(f"{member.name}: wanted a whole number, found {text!r}")
        return int(text)
    return text


# -- writing ------------------------------------------------------------------------------------


def write(value: Any) -> bytes:
    """A value of a dataclass as JSON."""
    return json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False).encode(
        # Ids are free text: one that cannot be written must not end a whole answer.
        "utf-8",
        "backslashreplace",
    )


def plain(value: Any) -> Any:
    """What JSON writes of a value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            name: plain(of)
            for name in members(type(value))
            if (of := getattr(value, name)) is not None
        }
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, StrEnum) else value


def moment_text(moment: datetime) -> str:
    """A moment, with parts of a second where it has any."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


# -- describing ---------------------------------------------------------------------------------


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON Schema of a type; of a dataclass, a reference to it."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        return schema_of(_without_none(arguments))
    if origin is tuple:
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin is not None:
        return {"type": "object", "additionalProperties": schema_of(arguments[1])}
    return _named_schema(kind)


def _named_schema(kind: Any) -> dict[str, Any]:
    if kind is Any:
        return {}
    if dataclasses.is_dataclass(kind):
        return {"$ref": REFERENCES + typing.cast("type", kind).__name__}
    if issubclass(kind, StrEnum):
        return {"type": "string", "enum": [str(item) for item in kind]}
    return dict(_SCHEMAS[kind])


_SCHEMAS: Mapping[type, Mapping[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    float: {"type": "number"},
    datetime: {"type": "string", "format": "date-time"},
}


def member_schema(member: Member) -> dict[str, Any]:
    """The JSON Schema of a member."""
    found = schema_of(member.type)
    bounds = ("minItems", "maxItems") if found.get("type") == "array" else ("minimum", "maximum")
    for key, bound in zip(bounds, (member.least, member.most), strict=True):
        if bound is not None:
            found[key] = bound
    if member.doc:
        found["description"] = member.doc
    if isinstance(member.default, str | int | bool):
        found["default"] = plain(member.default)
    return found


def object_schema(
    cls: type, *, takes: Callable[[str], bool] = lambda _name: True
) -> dict[str, Any]:
    """The JSON Schema of a dataclass with the members that it `takes`."""
    chosen = {name: member for name, member in members(cls).items() if takes(name)}
    found: dict[str, Any] = {
        "type": "object",
        "properties": {name: member_schema(member) for name, member in chosen.items()},
    }
    required = [name for name, member in chosen.items() if member.required]
    if required:
        found["required"] = required
    if cls.__doc__:
        found["description"] = " ".join(cls.__doc__.split())
    return found


def referred(cls: type) -> Iterator[type]:
    """A dataclass and every one that its members hold."""
    seen: dict[type, None] = {}
    waiting = [cls]
    while waiting:
        found = waiting.pop()
        if found not in seen:
            seen[found] = None
            for member in members(found).values():
                waiting.extend(_dataclasses_in(member.type))
    yield from seen


def _dataclasses_in(kind: Any) -> Iterator[type]:
    if dataclasses.is_dataclass(kind):
        yield typing.cast("type", kind)
    for argument in typing.get_args(kind):
        yield from _dataclasses_in(argument)
