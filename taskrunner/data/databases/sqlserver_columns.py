"""The columns of a table of SQL Server's: what each keeps of the texts that it is given. Pure."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from taskrunner.data.databases.values import binary_of
from taskrunner.data.fitting.columns import TargetColumn
from taskrunner.data.fitting.numbers import Binary, Scaled
from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue, Rule, choose
from taskrunner.data.fitting.texts import Length, Padded
from taskrunner.data.fitting.times import Temporal

#: Name, type, bytes, digits, digits behind the point, whether the server makes the value (and how),
#: and the code page of a text.
COLUMNS = """
SELECT c.name, COALESCE(b.name, t.name), c.max_length, c.precision, c.scale,
    CASE WHEN c.is_computed = 1 THEN 'computed' WHEN c.is_identity = 1 THEN 'identity' ELSE '' END,
    COALESCE(CAST(COLLATIONPROPERTY(c.collation_name, 'CodePage') AS varchar(8)), '')
FROM sys.columns c
JOIN sys.types t ON t.user_type_id = c.user_type_id
LEFT JOIN sys.types b ON b.user_type_id = c.system_type_id AND b.is_user_defined = 0
WHERE c.object_id = OBJECT_ID({})
ORDER BY c.column_id
"""
_UTF_8 = "65001"
_NUMBER = re.compile(r"\s*[-+]?[0-9.]+\s*")
_BINARY = {"binary", "image", "varbinary"}


@dataclass(frozen=True)
class CodePage(Rule):
    """Texts of a code page of so many bytes: the server writes ? for characters that it has not."""

    codec: str
    most: int | None

    @property
    def plain(self) -> str:
        """Short texts of ASCII, which is in all of them."""
        most = 65535 if self.most is None else min(self.most, 65535)
        return rf"[\x00-\x7f]{{0,{most}}}"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The text, if all of its characters are there."""
        try:
            text.encode(self.codec)
        except UnicodeEncodeError as error:
            raise NotKeptError(
                f"has the character {text[error.start]!r}, which the column's code page has not"
            ) from None
        if self.most is None:
            return text
        return Length(self.most).fit(text, policy)


@dataclass(frozen=True)
class Ticks(Rule):
    """DATETIME, whose seconds have 300 parts: their texts end in 0, 3 or 7 thousandths."""

    plain = "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\\.[0-9]{2}[037])?"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The same moment; else one that the type has, which the server finds."""
        fitted = Temporal(digits=3).fit(text, policy)
        digits = fitted.partition(".")[2].ljust(3, "0")
        if digits[2] in "037" or not fitted.partition(".")[2]:
            return fitted
        return choose(policy, rounded=fitted, cut=fitted, why="has no whole 300th of a second")


@dataclass(frozen=True)
class Minutes(Rule):
    """SMALLDATETIME: the server rounds to minutes."""

    plain = "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:00"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The same moment; else what the server rounds it to."""
        fitted = Temporal().fit(text, policy)
        if re.fullmatch(r".*\d:\d\d:(?!00)\d\d.*", fitted):
            return choose(policy, rounded=fitted, cut=fitted, why="has seconds")
        return fitted


@dataclass(frozen=True)
class Bit(Rule):
    """BIT: the server makes 1 of every number but 0."""

    plain = "[01]|true|false"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """One of the two, or a word for it."""
        if text.strip().lower() in {"0", "1", "true", "false"} or not _NUMBER.fullmatch(text):
            return text  # the server refuses other words
        return choose(policy, rounded=text, cut=text)


def column_of(row: Sequence[str | None]) -> TargetColumn:
    """A column, from a row of COLUMNS."""
    name, kind, size, precision, scale, made, page = (text or "" for text in row)
    return TargetColumn(
        name=name,
        type=_shown(kind, int(size), int(precision), int(scale)),
        rule=_rule(kind, int(size), int(precision), int(scale), page),
        is_generated=made == "computed" or kind in {"timestamp", "rowversion"},
    )


def identity_of(rows: Sequence[Sequence[str | None]]) -> str | None:
    """The name of the column that the server numbers, unless it is given numbers."""
    return next((row[0] for row in rows if row[5] == "identity"), None)


def converter_of(kind: str) -> Callable[[str], object] | None:
    """What makes bytes of a text for a column that takes no other."""
    return binary_of if kind.partition("(")[0] in _BINARY else None


def _shown(kind: str, size: int, precision: int, scale: int) -> str:
    if kind in {"decimal", "numeric"}:
        return f"{kind}({precision},{scale})"
    if kind in {"time", "datetime2", "datetimeoffset"}:
        return f"{kind}({scale})"
    if kind in {"binary", "varbinary", "char", "varchar", "nchar", "nvarchar"}:
        length = size // 2 if kind.startswith("n") else size
        return f"{kind}({'max' if size < 0 else length})"
    return kind


def _rule(kind: str, size: int, precision: int, scale: int, page: str) -> Rule | None:
    if kind in {"time", "datetime2", "datetimeoffset"}:
        return Temporal(has_date=kind != "time", digits=scale, has_zone=kind == "datetimeoffset")
    if kind in {"nchar", "nvarchar"}:
        return None if size < 0 else Length(size // 2)
    if kind in {"char", "varchar", "text"}:
        return _of_code_page(None if size < 0 or kind == "text" else size, page)
    if kind == "binary":
        return Padded(size)
    return _OTHERS.get(kind) or _number(kind, precision, scale)


def _number(kind: str, precision: int, scale: int) -> Rule | None:
    if kind in {"decimal", "numeric"}:
        return Scaled(scale)
    if kind in {"float", "real"}:
        return Binary(4 if precision <= 24 else 8)
    return None


def _of_code_page(most: int | None, page: str) -> Rule | None:
    if page == _UTF_8:
        return None if most is None else Length(most, in_bytes=True)
    codec = f"cp{page}"
    try:
        codecs.lookup(codec)
    except LookupError:
        return CodePage("ascii", most)
    return CodePage(codec, most)


_OTHERS: dict[str, Rule] = {
    **dict.fromkeys(("bigint", "int", "smallint", "tinyint"), Scaled()),
    **dict.fromkeys(("money", "smallmoney"), Scaled(4)),
    "date": Temporal(has_time=False),
    "datetime": Ticks(),
    "smalldatetime": Minutes(),
    "bit": Bit(),
}
