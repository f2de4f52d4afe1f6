"""The columns of a table of Oracle's: what each keeps of the texts that it is given. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from taskrunner.data.databases.values import binary_of
from taskrunner.data.fitting.columns import TargetColumn
from taskrunner.data.fitting.numbers import Binary, Scaled, number_of
from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue, Rule, choose
from taskrunner.data.fitting.texts import Length
from taskrunner.data.fitting.times import Temporal

#: Name, type, bytes, characters (0: it counts bytes), digits, digits behind the point, and whether
#: the server makes the value.
COLUMNS = """
SELECT c.column_name, c.data_type, c.data_length, CASE WHEN c.char_used = 'C' THEN c.char_length
    ELSE 0 END, c.data_precision, c.data_scale, c.virtual_column
FROM all_tab_cols c
WHERE c.owner = :1 AND c.table_name = :2 AND c.hidden_column = 'NO'
ORDER BY c.column_id
"""
_TIMESTAMP = re.compile(r"TIMESTAMP\((\d)\)( WITH (?:LOCAL )?TIME ZONE)?")
_TEXTS = {"CHAR", "NCHAR", "NVARCHAR2", "VARCHAR", "VARCHAR2"}
_LARGE = {"CLOB", "LONG", "NCLOB"}
_BYTES = {"BLOB", "LONG RAW", "RAW"}
#: The digits that a NUMBER without bounds keeps in any case.
_DIGITS = 38


@dataclass(frozen=True)
class NotEmpty(Rule):
    """Texts: Oracle knows no empty one, and stores NULL for it."""

    rule: Rule | None = None

    @property
    def plain(self) -> str:
        """What is neither empty nor more than there is place for."""
        return rf"(?!\\Z|\n)(?:{self.rule.plain})" if self.rule is not None else r"(?s:.+)"

    def keeps_all(self, texts: object) -> bool:
        """Looked at one by one: an empty one is quickly found."""
        found = [*texts] if isinstance(texts, Sequence) else list(texts)  # type: ignore[call-overload]
        return "" not in found and (self.rule is None or self.rule.keeps_all(found))

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The text, unless there is nothing in it."""
        if not text:
            return choose(policy, rounded="", cut="", why="is empty, which Oracle stores as NULL")
        return text if self.rule is None else self.rule.fit(text, policy)


@dataclass(frozen=True)
class Digits(Rule):
    """NUMBER without bounds: so many digits in all are kept, others are rounded."""

    plain = r"-?[0-9]{1,19}(?:\.[0-9]{1,19})?"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The number, if it has few digits enough."""
        number = number_of(text)
        if number is None:
            return text
        digits = "".join(map(str, number.as_tuple().digits)).strip("0")
        if len(digits) > _DIGITS:
            raise NotKeptError(f"has {len(digits)} digits, of which {_DIGITS} are kept for sure")
        return text


def column_of(row: Sequence[object]) -> TargetColumn:
    """A column, from a row of COLUMNS."""
    name, kind, size, characters, precision, scale, made = row
    text = str(kind)
    numbers = [None if value is None else int(str(value)) for value in (precision, scale)]
    return TargetColumn(
        name=str(name),
        type=_shown(text, int(str(size)), int(str(characters)), numbers),
        rule=_rule(text, int(str(size)), int(str(characters)), numbers),
        is_generated=made == "YES",
    )


def converter_of(kind: str) -> Callable[[str], object] | None:
    """What makes bytes of a text for a column that takes no other."""
    return binary_of if kind.partition("(")[0] in _BYTES else None


def _shown(kind: str, size: int, characters: int, numbers: Sequence[int | None]) -> str:
    if kind in _TEXTS:
        return f"{kind}({characters} CHAR)" if characters else f"{kind}({size})"
    if kind == "RAW":
        return f"RAW({size})"
    if kind == "NUMBER" and (numbers[0] is not None or numbers[1] is not None):
        return f"NUMBER({'*' if numbers[0] is None else numbers[0]},{numbers[1] or 0})"
    return kind


def _rule(kind: str, size: int, characters: int, numbers: Sequence[int | None]) -> Rule | None:
    if kind in _TEXTS:
        return NotEmpty(Length(characters) if characters else Length(size, in_bytes=True))
    if kind in _LARGE:
        return NotEmpty()
    if kind == "NUMBER":
        return Digits() if numbers[1] is None else Scaled(numbers[1])
    if found := _TIMESTAMP.fullmatch(kind):
        return Temporal(digits=int(found[1]), has_zone=found[2] is not None)
    return _OTHERS.get(kind)


_OTHERS: dict[str, Rule] = {
    "BINARY_DOUBLE": Binary(8),
    "BINARY_FLOAT": Binary(4),
    # It is a NUMBER of so many binary digits.
    "FLOAT": Digits(),
    "DATE": Temporal(),
}
