"""What the columns of MySQL's answers hold: their texts, and their types as people write them."""

from __future__ import annotations

from typing import Any, Protocol

from pymysql.constants import FIELD_TYPE, FLAG
from pymysql.converters import conversions

from taskrunner.data.databases.values import BitNumber, text_of

_CODES = {name: code for name, code in vars(FIELD_TYPE).items() if isinstance(code, int)}
_NAMES = {
    **{code: name.lower() for name, code in _CODES.items()},
    FIELD_TYPE.BLOB: "text",
    FIELD_TYPE.INT24: "mediumint",
    FIELD_TYPE.LONG: "int",
    FIELD_TYPE.LONGLONG: "bigint",
    FIELD_TYPE.NEWDECIMAL: "decimal",
    FIELD_TYPE.SHORT: "smallint",
    FIELD_TYPE.STRING: "char",
    FIELD_TYPE.TINY: "tinyint",
    FIELD_TYPE.VAR_STRING: "varchar",
}
_BINARY = {"char": "binary", "text": "blob", "varchar": "varbinary"}
#: The character set of what is no text.
_NO_CHARACTERS = 63
_WHOLE = {
    FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG,
}  # fmt: skip

_STRINGS = {
    FIELD_TYPE.BLOB,
    FIELD_TYPE.GEOMETRY,
    FIELD_TYPE.LONG_BLOB,
    FIELD_TYPE.MEDIUM_BLOB,
    FIELD_TYPE.STRING,
    FIELD_TYPE.TINY_BLOB,
    FIELD_TYPE.VAR_STRING,
    FIELD_TYPE.VARCHAR,
}


def _string(value: str | bytes) -> str:
    return value if isinstance(value, str) else text_of(value)


def _bit(value: bytes) -> str:
    return BitNumber(int.from_bytes(value, "big"))


#: Of the library's conversions those from Python stay; towards Python there are only these two.
CONVERSIONS: dict[Any, Any] = {
    **{kind: convert for kind, convert in conversions.items() if not isinstance(kind, int)},
    **dict.fromkeys(_STRINGS, _string),
    FIELD_TYPE.BIT: _bit,
}


class Described(Protocol):
    """What the server says of a column of an answer."""

    type_code: int
    charsetnr: int
    length: int
    flags: int
    scale: int


def type_of(column: Described) -> str:
    """A type, with its digits where they matter."""
    code = column.type_code
    name = _NAMES.get(code, f"type {code}")
    is_unsigned = bool(column.flags & FLAG.UNSIGNED)
    if code == FIELD_TYPE.NEWDECIMAL:
        # Its length has room for a sign and a point.
        digits = column.length - (column.scale > 0) - (not is_unsigned)
        return f"{name}({digits},{column.scale})"
    if code in _WHOLE and is_unsigned:
        return f"{name} unsigned"
    return _BINARY.get(name, name) if column.charsetnr == _NO_CHARACTERS else name
