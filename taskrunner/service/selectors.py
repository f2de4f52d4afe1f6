"""The conditions of QueryObjects: a field compared with values, as its type wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from taskrunner.errors import InvalidRequest
from taskrunner.model.catalog import Slot, find_type
from taskrunner.model.document import Ref
from taskrunner.model.expressions.values import as_number
from taskrunner.model.period import Period
from taskrunner.model.times import parse_datetime
from taskrunner.service.runtime_values import RuntimeValue, Subject
from taskrunner.service.views import as_text, values
from taskrunner.wire.structures import Operator, Selector


def _number(text: str) -> float:
    number = as_number(text)
    if number is None:
        raise ValueError(f"found {text!r}, wanted a number")
    return number


def _period(text: str) -> datetime:
    # Months differ: periods are compared as they would be if they all began then.
    return Period.parse(text).add_to(datetime(2001, 1, 1, tzinfo=UTC))


#: How a text becomes what is compared; each raises ValueError for a text of another type.
_READ: Mapping[Slot, Callable[[str], Any]] = {
    Slot.INTEGER: _number,
    Slot.DOUBLE: _number,
    Slot.DATETIME: parse_datetime,
    Slot.PERIOD: _period,
}
#: The types whose values may be written in several ways.
NUMBERS_AND_TIMES = frozenset(_READ)


@dataclass(frozen=True, slots=True)
class Condition:
    """One selector. Of a field with several values, one has to meet it."""

    field: str
    operator: str
    wanted: tuple[str, ...]

    @classmethod
    def of(cls, selector: Selector) -> Condition:
        """Raises InvalidRequest for a selector that lacks something."""
        operator = selector.operator or Operator()
        if selector.field_name is None or operator.type not in OPERATORS:
            wanted = ", ".join(OPERATORS)
            raise InvalidRequest(f"a selector needs a fieldName and an operator type of {wanted}")
        count = len(operator.values)
        if operator.type == "BETWEEN" and count != 2:
            raise InvalidRequest(f"{selector.field_name}: BETWEEN needs two values, found {count}")
        if count == 0:
            raise InvalidRequest(f"{selector.field_name}: {operator.type} needs a value")
        return cls(selector.field_name, operator.type, operator.values)

    @property
    def equals(self) -> bool:
        """Whether it asks for certain values, not for a range of them."""
        return self.operator in _EQUALS

    def met_by(self, subject: Subject) -> bool:
        """Whether the field is set and compares as wanted.

        Raises InvalidRequest when the field's values cannot be compared with the wanted ones.
        """
        # DescribeObjects shows expressions evaluated or as they stand: found by either.
        shown = (True, False) if self.equals else (True,)
        return any(
            self._meets(subject, value)
            for evaluate in shown
            for value in values(subject, self.field, evaluate=evaluate)
        )

    def _meets(self, subject: Subject, value: RuntimeValue) -> bool:
        if isinstance(value, Ref):
            return self.equals and value.id in self.wanted
        if self.operator == "REF_EQ":
            return False
        if self.equals and as_text(value) in self.wanted:
            return True
        read = _reader(subject, self.field, value)
        try:
            own = read(as_text(value))
        except (ValueError, OverflowError):
            return False  # such as a period that is an expression
        try:
            wanted = _read_all(read, self.wanted)
        except (ValueError, OverflowError) as error:
            if self.equals:
                return False
            raise InvalidRequest(f"{self.field}: {self.operator}: {error}") from None
        return _COMPARE[self.operator](own, wanted)


@lru_cache
def _read_all(read: Callable[[str], Any], texts: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(map(read, texts))


_EQUALS = frozenset({"EQ", "REF_EQ"})
_COMPARE: Mapping[str, Callable[[Any, tuple[Any, ...]], bool]] = {
    "EQ": lambda own, wanted: own in wanted,
    "LE": lambda own, wanted: all(own <= one for one in wanted),
    "GE": lambda own, wanted: all(own >= one for one in wanted),
    "BETWEEN": lambda own, wanted: bool(wanted[0] <= own <= wanted[1]),
}
OPERATORS = ("EQ", "REF_EQ", "LE", "GE", "BETWEEN")


def _reader(subject: Subject, key: str, value: str | int | datetime) -> Callable[[str], Any]:
    """How the texts of a field are read that are to be compared."""
    if isinstance(value, datetime):
        return parse_datetime
    if isinstance(value, int):
        return _number
    (type_name,) = values(subject, "type", evaluate=False)[:1] or ("",)
    known = find_type(str(type_name))
    field = known.fields.get(key) if known else None
    return _READ.get(field.slot, str) if field else str
