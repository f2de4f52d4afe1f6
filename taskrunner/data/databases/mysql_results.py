"""What the columns of MySQL's answers hold, as people write the types."""

from __future__ import annotations

from collections.abc import Sequence

from pymysql.constants import FIELD_TYPE

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


def type_of(column: Sequence[object]) -> str:
    """A type, from a row of the cursor's description."""
    code = column[1]
    return _NAMES.get(code if isinstance(code, int) else -1, f"type {code}")
