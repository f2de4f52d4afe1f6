r"""SQL Server's values as texts: by the server where a driver would lose some of them. Pure.

What the driver makes of `datetime2(7)`, `money` and their like is not all that is in them. So those
columns are turned into texts by the server, by CONVERT with a style that shows everything, and all
others are of types that come as they are.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from taskrunner.data.databases.values import text_of

#: What shows all of a value, by the first word of its type; others come as they are.
_SHOWN = {
    "date": "CONVERT(varchar(10), {}, 23)",
    "time": "CONVERT(varchar(16), {}, 121)",
    "smalldatetime": "CONVERT(varchar(19), {}, 120)",
    "datetime": "CONVERT(varchar(23), {}, 121)",
    "datetime2": "CONVERT(varchar(27), {}, 121)",
    "datetimeoffset": "CONVERT(varchar(34), {}, 121)",
    "money": "CONVERT(varchar(32), {}, 2)",
    "smallmoney": "CONVERT(varchar(32), {}, 2)",
    "xml": "CONVERT(nvarchar(max), {})",
    "text": "CONVERT(varchar(max), {})",
    "ntext": "CONVERT(nvarchar(max), {})",
    "image": "CONVERT(varbinary(max), {})",
    "timestamp": "CONVERT(varbinary(8), {})",
    "hierarchyid": "CONVERT(nvarchar(4000), {})",
    "geography": "CONVERT(varbinary(max), {})",
    "geometry": "CONVERT(varbinary(max), {})",
}
_PLAIN = {
    *("bigint", "binary", "bit", "char", "decimal", "float", "int", "nchar", "numeric"),
    *("nvarchar", "real", "smallint", "tinyint", "uniqueidentifier", "varbinary", "varchar"),
}
_WORD = re.compile(r"\w+")
_APART = re.compile(r"\\\r\n|\\\r|\\\n|\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A column of an answer, as the server says before it runs the query."""

    name: str
    #: As the server writes it: `datetime2(7)`.
    type: str

    @property
    def word(self) -> str:
        """The type without its sizes."""
        found = _WORD.match(self.type)
        return found[0].lower() if found else ""

    @property
    def common(self) -> str:
        """The type in words that mean the same for every server; empty for one of its own."""
        if self.word == "time" and self.type.endswith("(7)"):
            return ""
        return "double precision" if self.word == "float" else self.type


def needy(columns: Sequence[Described]) -> Described | None:
    """The first column whose text the server has to make."""
    return next((column for column in columns if column.word in _SHOWN), None)


def shown_query(query: str, columns: Sequence[Described], quoted: Sequence[str]) -> str | None:
    """The query with the values that need it made texts; None: as it is.

    `quoted` are the columns' names. Raises ValueError, the end of a sentence, where it cannot be.
    """
    for column in columns:
        if column.word not in _PLAIN and column.word not in _SHOWN:
            raise ValueError(
                f"column {column.name!r} is a {column.type}, of whose values nobody knows a text: "
                "wanted a CONVERT of it in the query"
            )
    first = needy(columns)
    if first is None:
        return None
    names = [column.name.lower() for column in columns]
    if "" in names or len(set(names)) < len(names):
        raise ValueError(
            f"column {first.name!r} is a {first.type}, whose text the server is to make, and not "
            "all columns have a name of their own: wanted `AS` in the query"
        )
    shown = [
        f"{_SHOWN[column.word].format(f'q.{name}')} AS {name}"
        if column.word in _SHOWN
        else f"q.{name}"
        for column, name in zip(columns, quoted, strict=True)
    ]
    return f"SELECT {', '.join(shown)} FROM (\n{query}\n) AS q"  # noqa: S608  names are quoted


def texts_of(columns: Sequence[Described], row: Sequence[object]) -> list[str | None]:
    """A row's texts; `columns` as they were described, before any CONVERT."""
    return [_text(column.word, value) for column, value in zip(columns, row, strict=True)]


def _text(word: str, value: object) -> str | None:
    if value is None or type(value) is str:
        return value
    if isinstance(value, float):
        return _single(value) if word == "real" else repr(value)
    made = _MADE.get(type(value), str)
    return made(value)


#: Of a bool, too: 1 and 0.
_MADE: Mapping[type, Callable[[Any], str]] = {
    bool: lambda value: str(int(value)),
    Decimal: lambda value: f"{value:f}",
    uuid.UUID: lambda value: str(value).upper(),
    bytes: text_of,
    bytearray: lambda value: text_of(bytes(value)),
}


def _single(value: float) -> str:
    """The fewest digits that are this number among those of four bytes."""
    for digits in range(6, 10):
        text = f"{value:.{digits}g}"
        if struct.pack("f", float(text)) == struct.pack("f", value):
            return repr(float(text))
    return repr(value)


def literal(value: object) -> str:
    r"""A value in SQL: NULL, bytes, or a text, of which nothing is changed.

    SQL Server leaves out a backslash with the line end behind it, and what follows a NUL.
    """
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    text = str(value)
    if _APART.search(text) is None:
        return _quoted(text)
    # Short texts that are joined are cut at 4,000 characters, unless the first one may be longer.
    return f"(CAST(N'' AS nvarchar(max)) + {' + '.join(_pieces(text))})"


def _pieces(text: str) -> Iterator[str]:
    position = 0
    for found in _APART.finditer(text):
        # The backslash stays in the piece before it.
        cut = found.start() + found[0].startswith("\\")
        if cut > position:
            yield _quoted(text[position:cut])
        yield from (f"NCHAR({ord(character)})" for character in text[cut : found.end()])
        position = found.end()
    if position < len(text):
        yield _quoted(text[position:])


def _quoted(text: str) -> str:
    return "N'" + text.replace("'", "''") + "'"
