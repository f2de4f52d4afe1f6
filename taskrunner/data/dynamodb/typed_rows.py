"""Items as JSON objects of typed columns, for Spark, and what it writes as items again.

A column's type says which kind of attribute it is, as for rows of text (see `rows`). Here the type
is kept to as well: a number that its column could only hold as another one, or not at all, is
refused, for Spark would make NULL of it or round it. Of FLOAT and DOUBLE rounding is what they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from taskrunner.data.dynamodb.items import Attribute, BadItem, Item, from_line, to_line
from taskrunner.data.dynamodb.rows import KINDS

_TYPE = re.compile(r"(\w+)\s*(?:\(\s*(\d{1,5})\s*(?:,\s*(\d{1,5})\s*)?\))?")
_BITS = {"TINYINT": 8, "SMALLINT": 16, "INT": 32, "BIGINT": 64}
#: What Hive takes DECIMAL for.
_DECIMAL = (10, 0)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
# Numbers stay the text that they are: a float would lose digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column, and the attribute that it stands for."""

    name: str
    #: STRING, or DECIMAL(10,2).
    type: str
    attribute: str

    def __post_init__(self) -> None:
        """Raises ValueError for a type whose values are no single value."""
        if self.kind is None:
            known = ", ".join(KINDS)
            raise ValueError(
                f"the column {self.name!r} has the type {self.type}, wanted one of {known}"
            )

    @property
    def kind(self) -> str | None:
        """The kind of attribute: S, N, B or BOOL."""
        found = _TYPE.fullmatch(self.type.strip())
        return KINDS.get(found[1].upper()) if found else None

    @property
    def spark_type(self) -> str:
        """The type in a schema of Spark's, which knows texts of one sort there."""
        return "STRING" if self.kind == "S" else self.type.strip().upper()

    def number(self, text: str) -> str:
        """A number as JSON has it; raises BadItem for one that the column does not hold."""
        value = Decimal(text)
        found = _TYPE.fullmatch(self.type.strip().upper())
        word = found[1] if found else ""
        whole, fraction = _digits(value)
        if word in _BITS:
            most = 1 << (_BITS[word] - 1)
            if fraction or not -most <= value < most:
                raise self._too_much(text)
        if word == "DECIMAL" and found is not None:
            digits = int(found[2] or _DECIMAL[0])
            scale = int(found[3] or 0) if found[2] else _DECIMAL[1]
            if fraction > scale or whole > digits - scale:
                raise self._too_much(text)
        return f"{value:f}"

    def _too_much(self, text: str) -> BadItem:
        return BadItem(
            f"attribute {self.attribute!r}: found {text}, which the column {self.name!r} of type "
            f"{self.type} does not hold"
        )


def _digits(value: Decimal) -> tuple[int, int]:
    """How many digits a number has before its point, and how many behind it."""
    parts = value.as_tuple()
    text = "".join(map(str, parts.digits)).lstrip("0")
    kept = text.rstrip("0")
    exponent = int(parts.exponent) + len(text) - len(kept)
    return (max(len(kept) + exponent, 0), max(-exponent, 0)) if kept else (0, 0)


class TypedRows:
    """Items as rows of these columns."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._by_name = {column.name.casefold(): column for column in columns}

    def line(self, item: Item) -> bytes:
        """An item's row; raises BadItem. What an item does not have is left out: NULL."""
        parts = []
        for column in self._columns:
            text = _json(column, item.get(column.attribute))
            if text is not None:
                parts.append(f"{_ENCODER.encode(column.name)}:{text}")
        return f"{{{','.join(parts)}}}\n".encode()

    def item(self, line: bytes) -> Item:
        """The item of a row that Spark wrote; raises BadItem."""
        try:
            found: Mapping[str, Any] = _DECODER.decode(line.decode("utf-8"))
        except ValueError as error:
            raise BadItem(f"it is not JSON: {error}") from None
        item: Item = {}
        for name, value in found.items():
            column = self._by_name.get(name.casefold())
            if column is None:
                raise BadItem(f"found a column {name!r}, wanted {', '.join(self._by_name)}")
            if value is not None:
                item[column.attribute] = {column.kind or "": value}
        return from_line(to_line(item))  # which looks at every value


def _json(column: Column, value: Attribute | None) -> str | None:
    """A value as JSON; None: there is none."""
    if value is None or "NULL" in value:
        return None
    ((found, content),) = value.items()
    if column.kind == "S" and found == "BOOL":
        return _ENCODER.encode("true" if content else "false")
    if column.kind == found == "N":
        return column.number(content)
    if column.kind == found or (column.kind == "S" and found == "N"):
        return _ENCODER.encode(content)
    raise BadItem(
        f"attribute {column.attribute!r}: found the kind {found}, and its column "
        f"{column.name!r} wants {column.kind}"
    )
