"""The columns of a table of MySQL's: what each keeps of the texts that it is given.

Read from the type as SHOW COLUMNS writes it, which is all that is known of views, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from taskrunner.data.databases.values import binary_of
from taskrunner.data.fitting.columns import TargetColumn
from taskrunner.data.fitting.numbers import Binary, BitsAsNumber, Scaled
from taskrunner.data.fitting.rules import Rule
from taskrunner.data.fitting.texts import Length, Padded, Words, Year
from taskrunner.data.fitting.times import Temporal

_TYPE = re.compile(r"(?P<name>[a-z0-9]+)(?:\((?P<arguments>.*)\))?", re.DOTALL)
_WORD = re.compile(r"'((?:[^']|'')*)'")
#: As the server writes it in a type, whatever its sql_mode.
_ESCAPED = re.compile(r"\\(.)|''", re.DOTALL)
_NAMED = {"0": "\0", "n": "\n", "r": "\r"}
_INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint"}
_TEXT_BYTES = {"tinytext": 255, "text": 65535, "mediumtext": (1 << 24) - 1}
_GEOMETRIES = {
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
    "geometrycollection", "geomcollection",
}  # fmt: skip
_BINARIES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", *_GEOMETRIES}


def column_of(row: Mapping[str, str | None]) -> TargetColumn:
    """A column, from a row of SHOW FULL COLUMNS."""
    kind, extra = row["Type"] or "", (row["Extra"] or "").upper()
    now = kind.startswith("timestamp") and row["Null"] == "NO"
    return TargetColumn(
        name=row["Field"] or "",
        type=kind,
        rule=_rule(kind, row["Collation"] or ""),
        null_becomes="the present time" if now else None,
        is_generated="GENERATED" in extra and "DEFAULT_GENERATED" not in extra,
        is_hidden="INVISIBLE" in extra,
    )


def converter_of(kind: str) -> Callable[[str], object] | None:
    """What makes a value of a text for a column that takes no texts."""
    name = _parts(kind)[0]
    if name == "bit":
        return int
    return binary_of if name in _BINARIES else None


def _rule(kind: str, collation: str) -> Rule | None:
    name, arguments = _parts(kind)
    if name in {"enum", "set"}:
        words = tuple(_ESCAPED.sub(_unescaped, word) for word in _WORD.findall(arguments))
        return Words(words, several=name == "set")
    if name in _TEXT_BYTES:
        return Length(_TEXT_BYTES[name], in_bytes=collation.startswith("utf8"))
    make = _RULES.get(name)
    return None if make is None else make([int(n) for n in re.findall(r"\d+", arguments)])


def _unescaped(match: re.Match[str]) -> str:
    return "'" if match[1] is None else _NAMED.get(match[1], match[1])


def _number(numbers: Sequence[int], position: int) -> int:
    return numbers[position] if len(numbers) > position else 0


def _scaled(numbers: Sequence[int]) -> Rule:
    return Scaled(_number(numbers, 1))


def _length(numbers: Sequence[int]) -> Rule:
    return Length(_number(numbers, 0))


def _binary(size: int) -> Callable[[Sequence[int]], Rule]:
    return lambda numbers: Binary(size, digits=numbers[1] if numbers[1:] else None)


def _time(*, has_date: bool) -> Callable[[Sequence[int]], Rule]:
    return lambda numbers: Temporal(has_date=has_date, digits=_number(numbers, 0))


#: By the type's name: from the numbers in its brackets to its rule.
_RULES: Mapping[str, Callable[[Sequence[int]], Rule]] = {
    **dict.fromkeys(_INTEGERS, lambda _: Scaled()),
    "decimal": _scaled,
    "numeric": _scaled,
    "float": _binary(4),
    "double": _binary(8),
    "date": lambda _: Temporal(has_time=False),
    "datetime": _time(has_date=True),
    "timestamp": _time(has_date=True),
    "time": _time(has_date=False),
    "char": _length,
    "varchar": _length,
    "bit": lambda _: BitsAsNumber(),
    "year": lambda _: Year(),
    "binary": lambda numbers: Padded(_number(numbers, 0)),
}


def _parts(kind: str) -> tuple[str, str]:
    found = _TYPE.match(kind)
    return (found["name"], found["arguments"] or "") if found else ("", "")


def whole_key(columns: Sequence[Sequence[object]]) -> str | None:
    """The name of the primary key, from what SHOW COLUMNS says of its columns: name and type.

    None unless it is one column of whole numbers.
    """
    if len(columns) != 1:
        return None
    name, kind = columns[0][:2]
    found = _TYPE.match(str(kind).lower())
    return str(name) if found is not None and found["name"] in _INTEGERS else None
