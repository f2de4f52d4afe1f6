"""Oracle's values as texts: by the server where a driver would lose some of them. Pure.

The driver's moments have six digits of a second's fraction and no zone. So those columns are turned
into texts by the server, by TO_CHAR; numbers are given as texts by the driver, digit by digit.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from taskrunner.data.databases.values import text_of

_DAY, _CLOCK = "YYYY-MM-DD", "HH24:MI:SS"
_UTC = "SYS_EXTRACT_UTC({})"
#: What shows all of a value, by the driver's name of its type; others come as they are.
_SHOWN = {
    "DB_TYPE_DATE": f"TO_CHAR({{}}, '{_DAY} {_CLOCK}')",
    "DB_TYPE_TIMESTAMP": f"TO_CHAR({{}}, '{_DAY} {_CLOCK}.FF9')",
    "DB_TYPE_TIMESTAMP_TZ": f"TO_CHAR({_UTC}, '{_DAY} {_CLOCK}.FF9') || '+00'",
    "DB_TYPE_TIMESTAMP_LTZ": f"TO_CHAR({_UTC}, '{_DAY} {_CLOCK}.FF9') || '+00'",
    "DB_TYPE_INTERVAL_DS": "TO_CHAR({})",
    "DB_TYPE_INTERVAL_YM": "TO_CHAR({})",
    "DB_TYPE_ROWID": "ROWIDTOCHAR({})",
    "DB_TYPE_UROWID": "TO_CHAR({})",
    "DB_TYPE_XMLTYPE": "XMLSERIALIZE(CONTENT {} AS CLOB)",
    "DB_TYPE_JSON": "JSON_SERIALIZE({} RETURNING CLOB)",
}
_PLAIN = {
    *("DB_TYPE_BINARY_DOUBLE", "DB_TYPE_BINARY_FLOAT", "DB_TYPE_BLOB", "DB_TYPE_BOOLEAN"),
    *("DB_TYPE_CHAR", "DB_TYPE_CLOB", "DB_TYPE_LONG", "DB_TYPE_LONG_RAW", "DB_TYPE_NCHAR"),
    *("DB_TYPE_NCLOB", "DB_TYPE_NUMBER", "DB_TYPE_NVARCHAR", "DB_TYPE_RAW", "DB_TYPE_VARCHAR"),
}
#: Values that may be large: few rows of them are asked for at a time.
LARGE = {
    *("DB_TYPE_BLOB", "DB_TYPE_CLOB", "DB_TYPE_JSON", "DB_TYPE_LONG", "DB_TYPE_LONG_RAW"),
    *("DB_TYPE_NCLOB", "DB_TYPE_XMLTYPE"),
}
_PADDED = "000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A column of an answer."""

    name: str
    #: The driver's name of its type.
    type: str

    @property
    def shown(self) -> str:
        """The type, as people write it; Oracle's DATE has a time of day."""
        if self.type == "DB_TYPE_DATE":
            return "timestamp(0)"
        return self.type.removeprefix("DB_TYPE_").lower().replace("_", " ")


def shown_query(query: str, columns: Sequence[Described], quoted: Sequence[str]) -> str | None:
    """The query with the values that need it made texts; None: as it is.

    `quoted` are the columns' names. Raises ValueError, the end of a sentence, where it cannot be.
    """
    for column in columns:
        if column.type not in _PLAIN and column.type not in _SHOWN:
            raise ValueError(
                f"column {column.name!r} is a {column.shown}, of whose values nobody knows a text: "
                "wanted an expression in the query that makes one"
            )
    first = next((column for column in columns if column.type in _SHOWN), None)
    if first is None:
        return None
    if any(column.type in {"DB_TYPE_LONG", "DB_TYPE_LONG_RAW"} for column in columns):
        raise ValueError(
            f"column {first.name!r} is a {first.shown}, whose text the server is to make, and a "
            "LONG beside it cannot stand in another query: wanted TO_CHAR in the query"
        )
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        raise ValueError(
            f"column {first.name!r} is a {first.shown}, whose text the server is to make, and not "
            "all columns have a name of their own: wanted `AS` in the query"
        )
    shown = [
        f"{_SHOWN[column.type].format(f'q.{name}')} AS {name}"
        if column.type in _SHOWN
        else f"q.{name}"
        for column, name in zip(columns, quoted, strict=True)
    ]
    return f"SELECT {', '.join(shown)} FROM (\n{query}\n) q"  # noqa: S608  names are quoted


def texts_of(columns: Sequence[Described], row: Sequence[object]) -> list[str | None]:
    """A row's texts."""
    return [_text(column, value) for column, value in zip(columns, row, strict=True)]


def _text(column: Described, value: object) -> str | None:
    if isinstance(value, str):
        return _trimmed(value) if column.type.startswith("DB_TYPE_TIMESTAMP") else value
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _floating(value, single=column.type == "DB_TYPE_BINARY_FLOAT")
    if isinstance(value, bytes):
        return text_of(value)
    return str(value)


def _trimmed(text: str) -> str:
    """A moment without zeros at its fraction's end, which TO_CHAR writes up to nine digits."""
    clock, point, rest = text.partition(".")
    fraction = rest[: len(_PADDED)].rstrip("0")
    return f"{clock}{point if fraction else ''}{fraction}{rest[len(_PADDED) :]}"


def _floating(value: float, *, single: bool) -> str:
    text = repr(value)
    if single:
        kept = (f"{value:.{digits}g}" for digits in range(6, 10))
        same = struct.pack("f", value)
        text = next((t for t in kept if struct.pack("f", float(t)) == same), text)
        text = repr(float(text))
    return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(text, text)
