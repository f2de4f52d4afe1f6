"""Checks of values: what a period, a date, a number, a word of a list looks like."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from taskrunner.model.catalog import FieldSpec, Slot
from taskrunner.model.document import Field
from taskrunner.model.masks import MASK
from taskrunner.model.period import Period
from taskrunner.model.schedule import ONDEMAND_PERIOD
from taskrunner.model.times import parse_datetime
from taskrunner.model.validate.context import Context, Item
from taskrunner.model.validate.fields import is_user_defined, spec_of
from taskrunner.secret import is_secret

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
#: Shares of a table's capacity, of which none would read or write nothing.
_SHARES = frozenset({"readThroughputPercent", "writeThroughputPercent"})

#: A wrong value as (code, what was found and wanted).
Wrong = tuple[str, str]


def check_values(context: Context) -> None:
    """Every own value is of the field's slot type; expressions are left for later."""
    for item in context.items:
        for field in item.own.fields:
            if is_user_defined(field.key):
                continue
            wrong = _wrong(context, item, field)
            if wrong is not None:
                code, message = wrong
                context.note_value(code, message, item, field)


def _wrong(context: Context, item: Item, field: Field) -> Wrong | None:
    if field.value == "":
        return ("empty-value", "the value is empty; wanted a value, or no field at all")
    if is_secret(field.key) and field.value == MASK:
        return None
    spec = spec_of(item, field.key)
    text = context.known(field.value)
    if spec is None or text is None or spec.runtime:
        return None
    return _CHECKS[spec.slot](context, spec, text.strip())


def number(text: str) -> float | None:
    """The number that a text is; none for anything else, NaN and infinity included."""
    try:
        value = float(text)
    except ValueError:
        return None
    if "_" in text:  # a number to Python alone
        return None
    return value if abs(value) != float("inf") and value == value else None  # noqa: PLR0124


def _string(_context: Context, _spec: FieldSpec, _text: str) -> Wrong | None:
    return None


def _period(_context: Context, spec: FieldSpec, text: str) -> Wrong | None:
    if spec.name == "period" and text.upper() == ONDEMAND_PERIOD:
        return None
    # EmrCluster's table gives terminateAfter as a number of hours.
    if spec.name == "terminateAfter" and text.isdecimal():
        return None
    try:
        Period.parse(text)
    except ValueError as error:
        return ("bad-period", str(error))
    return None


def _datetime(_context: Context, _spec: FieldSpec, text: str) -> Wrong | None:
    try:
        parse_datetime(text)
    except ValueError as error:
        return ("bad-datetime", str(error))
    return None


def _integer(_context: Context, spec: FieldSpec, text: str) -> Wrong | None:
    least = 1 if spec.name in {"occurrences", "maxActiveInstances"} else 0
    if _INTEGER.fullmatch(text) and int(text) >= least:
        return None
    return ("bad-integer", f"found {text!r}, wanted a whole number of {least} or more")


def _double(_context: Context, spec: FieldSpec, text: str) -> Wrong | None:
    value = number(text)
    if value is None:
        return ("bad-number", f"found {text!r}, wanted a number such as 0.25")
    if value <= 0 and spec.name in _SHARES:
        return ("bad-number", f"found {text!r}, wanted a share of the capacity from 0.1 to 1.0")
    return None


def _boolean(_context: Context, _spec: FieldSpec, text: str) -> Wrong | None:
    if text.lower() in {"true", "false"}:
        return None
    return ("bad-boolean", f"found {text!r}, wanted true or false")


def _enum(context: Context, spec: FieldSpec, text: str) -> Wrong | None:
    if not spec.words or text.lower() in {word.lower() for word in spec.words}:
        return None
    if spec.open:
        if spec.name != "region" or _REGION.fullmatch(text):
            return None
        return ("unknown-region", f"found {text!r}, wanted the code of a region, as us-east-1")
    near = context.names.near(text, spec.words)
    return ("bad-enum", f"found {text!r}, wanted one of {', '.join(spec.words)}{near}")


_CHECKS: Mapping[Slot, Callable[[Context, FieldSpec, str], Wrong | None]] = {
    Slot.STRING: _string,
    Slot.REFERENCE: _string,
    Slot.PERIOD: _period,
    Slot.DATETIME: _datetime,
    Slot.INTEGER: _integer,
    Slot.DOUBLE: _double,
    Slot.BOOLEAN: _boolean,
    Slot.ENUMERATION: _enum,
}
