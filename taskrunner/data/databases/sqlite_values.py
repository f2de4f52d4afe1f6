r"""What SQLite's values are as texts, and what its columns keep of the texts that they are given.

In SQLite each value has a type of its own, whatever its column says: a text in a BLOB column, a
blob in a TEXT column, an infinite number. Between two SQLite files values travel as they are,
behind their texts; into a file they go as texts alone, and come back as the column's type says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

from taskrunner.data.databases.values import text_of
from taskrunner.data.fitting.columns import Row, TargetColumn
from taskrunner.data.fitting.numbers import Binary, number_of
from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue, Rule, choose
from taskrunner.errors import TaskError

_HEX = re.compile(r"\\x(?:[0-9A-Fa-f]{2})*")
_INFINITE = {"Infinity": float("inf"), "-Infinity": float("-inf")}
#: Texts that are read as numbers, or refused, where they do not come from another such file.
_NAMES = {*_INFINITE, *map("".join, product("nN", "aA", "nN"))}
#: Types whose values are numbers, by a part of their names; SQLite's own rule is in _affinity.
_NUMERIC = re.compile("INT|REAL|FLOA|DOUB|NUM|DEC|MONEY|BOOL")


class SqliteText(str):
    """The text of a value of SQLite's that is none, or reads like one that is none."""

    __slots__ = ("value",)

    def __new__(cls, text: str, value: object) -> SqliteText:
        """Keep the value behind its text."""
        made = super().__new__(cls, text)
        made.value = value
        return made

    value: object


class RowReader:
    """Makes texts of rows; refuses what would be the text of two different values."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._rows = 0
        #: Per column whether blobs were in it, and texts that read like a blob's.
        self._blobs: set[int] = set()
        self._look_alikes: set[int] = set()

    @property
    def rows(self) -> int:
        """How many were read."""
        return self._rows

    def read(self, row: Sequence[object]) -> Row:
        """A row's texts."""
        self._rows += 1
        return [
            value
            if value is None
            or (type(value) is str and value not in _NAMES and not value.startswith("\\x"))
            else self._text(value, position)
            for position, value in enumerate(row)
        ]

    def _text(self, value: object, position: int) -> str:
        if isinstance(value, str):
            if _HEX.fullmatch(value):
                self._mark(position, self._look_alikes, self._blobs)
            return SqliteText(value, value)
        if isinstance(value, bytes):
            self._mark(position, self._blobs, self._look_alikes)
            return SqliteText(text_of(value), value)
        text = repr(value)
        return SqliteText({"inf": "Infinity", "-inf": "-Infinity"}.get(text, text), value)

    def _mark(self, position: int, these: set[int], others: set[int]) -> None:
        these.add(position)
        if position in others:
            message = (
                f"row {self._rows}, column {self._columns[position]!r}: it has blobs, and texts "
                r"that read like the text of a blob (\x and hexadecimal digits): nobody could tell "
                "them apart; wanted one of them only, as by hex(...) in the query"
            )
            raise TaskError(message)


def column_of(row: Sequence[object]) -> TargetColumn:
    """A column, from a row of PRAGMA table_xinfo."""
    _, name, declared, _, _, _, hidden = row
    kind = str(declared or "")
    return TargetColumn(
        name=str(name),
        type=kind or "no type",
        rule=_rule(kind),
        is_generated=hidden in {2, 3},
        is_hidden=hidden != 0,
    )


def converter_of(kind: str) -> Callable[[str], object]:
    """What makes a value of a text for a column that is declared so."""
    if _affinity(kind) == "BLOB" and "BLOB" in kind.upper():
        return _blob_or_text
    return _number_or_text if isinstance(_rule(kind), _Numbers) else _as_it_is


def _as_it_is(text: str) -> object:
    return text.value if isinstance(text, SqliteText) else text


def _blob_or_text(text: str) -> object:
    if isinstance(text, SqliteText):
        return text.value
    return bytes.fromhex(text[2:]) if _HEX.fullmatch(text) else text


def _number_or_text(text: str) -> object:
    if isinstance(text, SqliteText):
        return text.value
    return _INFINITE.get(text, text)


def _affinity(kind: str) -> str:
    """What SQLite does with texts in a column: https://sqlite.org/datatype3.html, section 3.1."""
    kind = kind.upper()
    rules = (("INT", "INTEGER"), ("CHAR", "TEXT"), ("CLOB", "TEXT"), ("TEXT", "TEXT"),
             ("BLOB", "BLOB"), ("REAL", "REAL"), ("FLOA", "REAL"), ("DOUB", "REAL"))  # fmt: skip
    found = next((affinity for word, affinity in rules if word in kind), "NUMERIC")
    return found if kind else "BLOB"


def _rule(kind: str) -> Rule | None:
    affinity = _affinity(kind)
    if affinity in {"TEXT", "BLOB"}:
        return None
    if _NUMERIC.search(kind.upper()):
        return _Numbers(whole=affinity != "REAL")
    return _Literal()


@dataclass(frozen=True)
class _Numbers(Rule):
    """Columns of numbers: doubles, and whole numbers of 64 bits."""

    whole: bool = True

    @property
    def plain(self) -> str:
        """As doubles."""
        return Binary(whole=self.whole).plain

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The number, unless it is one behind its text; what is no number is kept as a text."""
        if isinstance(text, SqliteText):
            return text
        if text.lower() == "nan":
            raise NotKeptError("is no number that SQLite has")
        return Binary(whole=self.whole).fit(text, policy)


class _Literal(Rule):
    """Columns of other names (DATE, STRING): SQLite makes numbers of texts that read like some."""

    plain = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}:[0-9]{2})?|[1-9][0-9]{0,14}"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The text, if it would be the number's own."""
        number = None if isinstance(text, SqliteText) else number_of(text)
        if number is None:
            return text
        stored = _number(number)
        if stored == text:
            return text
        return choose(policy, rounded=stored, cut=stored)


def _number(number: Decimal) -> str:
    if number == number.to_integral_value() and abs(number) < 1 << 63:
        return str(int(number))
    return repr(float(number))
