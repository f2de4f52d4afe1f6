"""What the columns of MySQL's answers hold: their texts, and their types as people write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions

from taskrunner.data.databases.values import BitNumber, text_of

_CODES = {name: code for name, code in vars(FIELD_TYPE).items() if isinstance(code, int)}
_NAMES = {
    **{code: name.lower() for name, code in _CODES.items()},
    FIELD_TYPE.BLOB: "text or blob",
    FIELD_TYPE.INT24: "mediumint",
    FIELD_TYPE.LONG: "int",
    FIELD_TYPE.LONGLONG: "bigint",
    FIELD_TYPE.NEWDECIMAL: "decimal",
    FIELD_TYPE.SHORT: "smallint",
    FIELD_TYPE.STRING: "char",
    FIELD_TYPE.TINY: "tinyint",
    FIELD_TYPE.VAR_STRING: "varchar",
}

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


def type_of(column: Sequence[object]) -> str:
    """A type, from a row of the cursor's description."""
    code = column[1]
    return _NAMES.get(code if isinstance(code, int) else -1, f"type {code}")
