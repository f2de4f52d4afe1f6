"""Items as DynamoDB's API has them, and as the lines of an export.

An item is the JSON object of the API: `{"id": {"S": "x"}, "n": {"N": "1"}}`, bytes as base64. An
export has one line for each, its type keys in AWS's lower case: `{"id":{"s":"x"},"n":{"n":"1"}}`.
What is read may have the keys in any case, and the form of AWS's oldest exports: names and values
with the control characters ^C and ^B between them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

#: An attribute's value: one type key and its content.
Attribute = dict[str, Any]
Item = dict[str, Attribute]

#: What DynamoDB takes as one item, names and values together.
MAX_ITEM_BYTES = 400 << 10

_KINDS = ("S", "N", "B", "SS", "NS", "BS", "M", "L", "BOOL", "NULL")
_EXPORTED = {kind: kind[0].lower() + kind[1:] for kind in _KINDS}
_BETWEEN_ATTRIBUTES, _AFTER_NAME = "\x02", "\x03"
#: Each as it is written in an export or in the API, so that only odd ones are folded.
_KIND_OF = {spelled: kind for kind in _KINDS for spelled in (kind, _EXPORTED[kind])}
# Made once: the module's own functions make one for each line.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
# Numbers stay the text that they are: a float would lose digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_NUMBER = re.compile(r"[+-]?(?=\.?[0-9])([0-9]*)\.?([0-9]*)(?:[eE][+-]?[0-9]{1,3})?")
_MAX_DIGITS = 38


class BadItem(Exception):
    """A line or an item that DynamoDB would not take; the message says what is wrong with it."""


def to_line(item: Item) -> bytes:
    """An item as a line of an export, with its line end."""
    exported = {name: _lowered(value) for name, value in item.items()}
    return _ENCODER.encode(exported).encode() + b"\n"


def _lowered(value: Attribute) -> Attribute:
    ((kind, content),) = value.items()
    if kind == "M":
        content = {name: _lowered(inner) for name, inner in content.items()}
    elif kind == "L":
        content = [_lowered(inner) for inner in content]
    return {_EXPORTED[kind]: content}


def from_line(line: bytes) -> Item:
    """The item of a line; raises BadItem."""
    try:
        text = line.decode("utf-8-sig").strip(" \t\r\n")
    except UnicodeDecodeError as error:
        raise BadItem(f"byte {error.start + 1} is not UTF-8 text") from None
    try:
        found = _parsed(text) if text.startswith("{") else _parsed_oldest(text)
        return {name: _checked(name, value) for name, value in found.items()}
    except RecursionError:
        raise BadItem("its lists and maps are nested too deeply") from None


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadItem(f"it is not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(found, dict):
        raise BadItem(f"found {_shape(found)}, wanted an object of attributes")
    return found


def _parsed_oldest(text: str) -> dict[str, Any]:
    item: dict[str, Any] = {}
    for part in text.split(_BETWEEN_ATTRIBUTES):
        name, separator, value = part.partition(_AFTER_NAME)
        if not separator:
            found = repr(text[:20])
            raise BadItem(f"it begins with {found}, wanted a JSON object or name^Cvalue^B...")
        item[name] = _parsed(value)
    return item


def _checked(name: str, value: object) -> Attribute:
    """A value with its type key as the API has it, and its content looked at."""
    if not isinstance(value, dict):
        raise BadItem(f"the attribute {name!r} is {_shape(value)}, wanted an object with its type")
    if len(value) == 1:
        ((key, content),) = value.items()
        if kind := _KIND_OF.get(key):
            return {kind: _CHECKS[kind](name, content)}
    # Some libraries write every type that a value is not as null.
    given = [(key.upper(), content) for key, content in value.items() if content is not None]
    if len(given) != 1 or given[0][0] not in _EXPORTED:
        found = ", ".join(map(repr, value)) or "none"
        raise BadItem(
            f"the attribute {name!r} has the type keys {found}, wanted one of "
            f"{', '.join(_EXPORTED.values())} in any case"
        )
    kind, content = given[0]
    return {kind: _CHECKS[kind](name, content)}


def _text(name: str, content: object) -> str:
    if isinstance(content, str):
        return content
    raise _wrong(name, content, "a text")


def _number(name: str, content: object) -> str:
    if isinstance(content, str) and (match := _NUMBER.fullmatch(content.strip())):
        digits = (match[1] + match[2]).strip("0")
        if len(digits) > _MAX_DIGITS:
            raise BadItem(
                f"the number {name!r} has {len(digits)} digits, DynamoDB takes {_MAX_DIGITS}"
            )
        return content.strip()
    raise _wrong(name, content, "a number")


def _binary(name: str, content: object) -> str:
    if isinstance(content, str):
        try:
            base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError):
            pass
        else:
            return content
    raise _wrong(name, content, "bytes as base64")


def _flag(name: str, content: object) -> bool:
    if isinstance(content, bool):
        return content
    if isinstance(content, str) and content.lower() in {"true", "false"}:
        return content.lower() == "true"
    raise _wrong(name, content, "true or false")


def _null(name: str, content: object) -> bool:
    if _flag(name, content):
        return True
    raise _wrong(name, content, "true")


def _set_of(check: Callable[[str, object], str]) -> Callable[[str, object], list[str]]:
    def checked(name: str, content: object) -> list[str]:
        if isinstance(content, list) and content:
            return [check(name, one) for one in content]
        raise _wrong(name, content, "a list that is not empty")

    return checked


def _map(name: str, content: object) -> Item:
    if isinstance(content, dict):
        return {inner: _checked(f"{name}.{inner}", value) for inner, value in content.items()}
    raise _wrong(name, content, "an object of attributes")


def _list(name: str, content: object) -> list[Attribute]:
    if isinstance(content, list):
        return [_checked(f"{name}[{at}]", value) for at, value in enumerate(content)]
    raise _wrong(name, content, "a list")


_CHECKS: Mapping[str, Callable[[str, object], Any]] = {
    "S": _text,
    "N": _number,
    "B": _binary,
    "SS": _set_of(_text),
    "NS": _set_of(_number),
    "BS": _set_of(_binary),
    "M": _map,
    "L": _list,
    "BOOL": _flag,
    "NULL": _null,
}


def _wrong(name: str, content: object, wanted: str) -> BadItem:
    return BadItem(f"the attribute {name!r} holds {_shape(content)}, wanted {wanted}")


def _shape(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}..."


def size_of(item: Item) -> int:
    """The bytes that DynamoDB counts for an item, by the rules of its guide."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: Attribute) -> int:
    ((kind, content),) = value.items()
    return _SIZES[kind](content)


def _size_of_number(content: str) -> int:
    digits = re.sub(r"[eE].*|[^0-9]", "", content).strip("0")
    return (len(digits) + 1) // 2 + 1 + content.startswith("-")


def _size_of_bytes(content: str) -> int:
    return len(content) * 3 // 4 - content.count("=")


_SIZES: Mapping[str, Callable[[Any], int]] = {
    "S": lambda content: len(content.encode()),
    "N": _size_of_number,
    "B": _size_of_bytes,
    "SS": lambda content: sum(len(one.encode()) for one in content),
    "NS": lambda content: sum(map(_size_of_number, content)),
    "BS": lambda content: sum(map(_size_of_bytes, content)),
    "M": lambda content: 3 + size_of(content) + len(content),
    "L": lambda content: 3 + sum(1 + _size(one) for one in content),
    "BOOL": lambda _: 1,
    "NULL": lambda _: 1,
}
