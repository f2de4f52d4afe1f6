"""What the names of types mean for formats that have types themselves.

The names are those by which servers tell their answers' columns, or an author lists them in a data
format's `column` (Hive's, as AWS documents them).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto

from taskrunner.data.formats.base import Column
from taskrunner.data.formats.fields import split_columns
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.task import TaskObject


class Kind(Enum):
    """What values a type has."""

    TEXT = auto()  # any text, and whatever has no kind of its own
    INTEGER = auto()
    DECIMAL = auto()
    FLOAT = auto()
    BOOLEAN = auto()
    BINARY = auto()
    DATE = auto()
    TIME = auto()
    TIMESTAMP = auto()
    TIMESTAMP_TZ = auto()
    JSON = auto()


_INTEGERS = "bigint int int1 int2 int3 int4 int8 integer mediumint oid serial smallint tinyint"
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(_INTEGERS.split(), Kind.INTEGER),
    **dict.fromkeys(["dec", "decimal", "newdecimal", "numeric"], Kind.DECIMAL),
    **dict.fromkeys(["double", "float", "float4", "float8", "real"], Kind.FLOAT),
    **dict.fromkeys(["bool", "boolean"], Kind.BOOLEAN),
    **dict.fromkeys(
        ["binary", "blob", "bytea", "longblob", "mediumblob", "tinyblob", "varbinary"], Kind.BINARY
    ),
    "date": Kind.DATE,
    "time": Kind.TIME,
    **dict.fromkeys(["datetime", "timestamp"], Kind.TIMESTAMP),
    "timestamptz": Kind.TIMESTAMP_TZ,
    **dict.fromkeys(["json", "jsonb"], Kind.JSON),
}
_TYPE = re.compile(
    r"\s*([a-z0-9_]+)\s*(?:\(\s*([0-9]+)\s*(?:,\s*(-?[0-9]+)\s*)?\))?(.*)", re.DOTALL
)
_ZONES = {
    "timestamp with time zone": Kind.TIMESTAMP_TZ,
    "timestamp without time zone": Kind.TIMESTAMP,
    "time without time zone": Kind.TIME,
}
_NOT_ANY_MORE = ("[]", "with time zone")


def kind_of(name: str) -> Kind:
    """The kind of values of a type; TEXT where nobody knows."""
    folded = " ".join(name.lower().split())
    found = _TYPE.fullmatch(folded)
    plain = re.sub(r"\s*\([^)]*\)", "", folded)
    if plain in _ZONES:
        return _ZONES[plain]
    if found is None or any(word in found[4] for word in _NOT_ANY_MORE):
        return Kind.TEXT
    return _KINDS.get(found[1], Kind.TEXT)


def digits_of(name: str) -> tuple[int, int] | None:
    """Precision and scale of a type of decimals, if it has any."""
    found = _TYPE.fullmatch(name.lower())
    if found is None or found[2] is None:
        return None
    return int(found[2]), int(found[3] or 0)


def listed_columns(described: TaskObject | None) -> tuple[Column, ...]:
    """The columns that a data format lists, with their types."""
    if described is None:
        return ()
    parts = (part.split(None, 1) for part in split_columns(described.all("column")))
    return tuple(
        Column(name=part[0].strip('`"'), type=part[1] if len(part) > 1 else "") for part in parts
    )


def written_columns(
    listed: Sequence[Column], given: Sequence[Column], *, who: str
) -> Sequence[Column]:
    """The columns of what is written: those that are listed, else those of what is read.

    One that is listed without a type has that of the column that is read. `who` needs them:
    `Parquet names`. Raises PermanentTaskError where there are none.
    """
    known = listed or given
    if not known:
        message = (
            f"{who} the columns, which are not known: list them in the data format's field 'column'"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    types = {column.name: column.type for column in given}
    return [Column(name=c.name, type=c.type or types.get(c.name, "")) for c in known]
