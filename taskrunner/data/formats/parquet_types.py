r"""Texts of servers to the types of Parquet and back; what a type has no place for is refused.

| what is read | Parquet |
| --- | --- |
| whole numbers | INT16, INT32, INT64, UINT64 by the type's name |
| decimals with a precision of up to 76 digits | DECIMAL(p, s) |
| single and double numbers | FLOAT, DOUBLE |
| Booleans | BOOLEAN |
| dates, times, moments without and with a zone | DATE, TIME, TIMESTAMP in microseconds, in UTC |
| binary values | BYTE_ARRAY |
| JSON, and all else | STRING |

Read is any file: what others have written, too (nanoseconds, dictionaries, large strings).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from math import isinf
from types import ModuleType
from typing import Any, Self

from taskrunner.data.databases.values import binary_of, text_of
from taskrunner.data.fitting.numbers import Binary, nearest
from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue
from taskrunner.data.formats.base import Column
from taskrunner.data.formats.columns import Kind, digits_of, kind_of
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.secret import quoted

_MOST_DIGITS = 76
_INTEGER = re.compile(r"[-+]?[0-9]+")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")
_FLOAT = re.compile(rf"{_DECIMAL.pattern}|[-+]?(?:nan|inf(?:inity)?)", re.IGNORECASE)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?")
_MOMENT = re.compile(rf"({_DATE.pattern})[ T]({_TIME.pattern})")
_ZONED = re.compile(rf"{_MOMENT.pattern}(?:\+00(?::?00)?|Z)")
_BOOLEANS = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
_WIDTHS = {
    "smallint": 16, "int2": 16, "tinyint": 16, "int1": 16, "bigint": 64, "int8": 64, "oid": 64,
    "integer": 64,
}  # fmt: skip


class _NotKept(Exception):
    """A text that the type has no place for; the message says what would have one."""


@dataclass(frozen=True, slots=True)
class ToArrow:
    """What makes a column of a file."""

    name: str
    type: Any
    #: The value of a text; raises _NotKept.
    value: Callable[[str], object]
    arrow: ModuleType

    @classmethod
    def of(cls, column: Column, arrow: ModuleType) -> Self:
        """By the type that is known of the column."""
        kind = kind_of(column.type)
        if kind is Kind.DECIMAL:
            return cls(column.name, *_decimal(column, arrow), arrow)
        if kind is Kind.INTEGER:
            return cls(column.name, *_integer(column, arrow), arrow)
        makers: Mapping[Kind, tuple[Any, Callable[[str], object]]] = {
            Kind.BOOLEAN: (arrow.bool_(), _boolean),
            Kind.BINARY: (arrow.binary(), binary_of),
            Kind.DATE: (arrow.date32(), _date),
            Kind.TIME: (arrow.time64("us"), _time),
            Kind.TIMESTAMP: (arrow.timestamp("us"), _moment),
            Kind.TIMESTAMP_TZ: (arrow.timestamp("us", tz="UTC"), _zoned),
        }
        found: tuple[Any, Callable[[str], object]]
        if kind is Kind.FLOAT:
            is_single = re.match(r"float(4|\b(?!\d))", column.type.lower()) is not None
            found = (arrow.float32(), _single) if is_single else (arrow.float64(), _double)
        else:
            found = makers.get(kind, (arrow.string(), str))
        return cls(column.name, *found, arrow)

    def array(self, texts: Sequence[str | None], *, rows_before: int) -> Any:
        """The values of a row group; raises TaskError for the first that is not kept."""
        values: list[object] = []
        for number, text in enumerate(texts, rows_before + 1):
            try:
                values.append(None if text is None else self.value(text))
            except _NotKept as error:
                raise self._refused(number, text or "", str(error)) from None
        try:
            return self.arrow.array(values, type=self.type)
        except (self.arrow.ArrowException, OverflowError, ValueError) as error:
            raise self._first_wrong(values, texts, rows_before) from error

    def _first_wrong(
        self, values: Sequence[object], texts: Sequence[str | None], rows_before: int
    ) -> TaskError:
        for number, (value, text) in enumerate(zip(values, texts, strict=True), rows_before + 1):
            try:
                self.arrow.array([value], type=self.type)
            except (self.arrow.ArrowException, OverflowError, ValueError):
                return self._refused(number, text or "", "a value that it has a place for")
        return TaskError(f"column {self.name!r}: its values make no {self.type}")

    def _refused(self, row: int, text: str, wanted: str) -> TaskError:
        message = (
            f"row {row}, column {self.name!r} ({self.type}): found {quoted(text, 60)}, wanted "
            f"{wanted}; list the column as STRING in the data format to keep it as a text"
        )
        return PermanentTaskError(message, error_id=ErrorId.ACTIVITY_FAILED)


def _integer(column: Column, arrow: ModuleType) -> tuple[Any, Callable[[str], object]]:
    word = re.split(r"[^a-z0-9]", column.type.lower().strip(), maxsplit=1)[0]
    if "unsigned" in column.type.lower():
        kind = arrow.uint64() if _WIDTHS.get(word) == 64 else arrow.int64()
    else:
        kind = {16: arrow.int16(), 64: arrow.int64()}.get(_WIDTHS.get(word, 32), arrow.int32())

    def value(text: str) -> int:
        if not _INTEGER.fullmatch(text) or len(text) > 30:
            raise _NotKept("a whole number")
        return int(text)

    return kind, value


def _decimal(column: Column, arrow: ModuleType) -> tuple[Any, Callable[[str], object]]:
    digits = digits_of(column.type)
    if digits is None or not 0 <= digits[1] <= digits[0] <= _MOST_DIGITS:
        # PostgreSQL's numeric without a precision has any number of digits.
        return arrow.string(), str
    precision, scale = digits
    kind = arrow.decimal128 if precision <= 38 else arrow.decimal256

    def value(text: str) -> Decimal:
        if not _DECIMAL.fullmatch(text):
            raise _NotKept("a decimal number")
        try:
            found = Decimal(text)
        except InvalidOperation:
            raise _NotKept("a decimal number") from None
        _, figures, exponent = found.as_tuple()
        assert isinstance(exponent, int)  # noqa: S101  it is a number
        if found and (len(figures) + exponent > precision - scale or _below(found, scale)):
            raise _NotKept(f"at most {precision} digits, {scale} of them behind the point")
        return found

    return kind(precision, scale), value


def _below(value: Decimal, scale: int) -> bool:
    """Whether a number has digits other than 0 behind so many behind the point."""
    _, figures, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101  it is a number
    more = -exponent - scale
    return more > 0 and any(figures[-more:])


def _double(text: str) -> float:
    return _binary(text, Binary(8), "a number that a double has")


def _single(text: str) -> float:
    return _binary(text, Binary(4), "a number that a single has")


def _binary(text: str, rule: Binary, wanted: str) -> float:
    """The number, if as many of its digits count as the type tells apart."""
    if not _FLOAT.fullmatch(text):
        raise _NotKept("a number")
    value = nearest(Decimal(text), rule.size)
    is_infinite = "inf" in text.lower()
    if isinf(value) != is_infinite:
        raise _NotKept(wanted)
    if not is_infinite and not rule.keeps_all([text]):
        try:
            rule.fit(text, OnLossyValue.FAIL)
        except NotKeptError:
            raise _NotKept(wanted) from None
    return value


def _boolean(text: str) -> bool:
    found = _BOOLEANS.get(text.lower())
    if found is None:
        raise _NotKept("true or false")
    return found


def _date(text: str) -> date:
    if not _DATE.fullmatch(text):
        raise _NotKept("a date from 0001-01-01 to 9999-12-31")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _NotKept("a date that the calendar has") from None


def _time(text: str) -> time:
    if not _TIME.fullmatch(text):
        raise _NotKept("a time from 00:00:00 to 23:59:59.999999")
    try:
        return time.fromisoformat(_six(text))
    except ValueError:
        raise _NotKept("a time from 00:00:00 to 23:59:59.999999") from None


def _moment(text: str) -> datetime:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise _NotKept("a date and time from 0001-01-01 to 9999-12-31, without a zone")
    return datetime.combine(_date(found[1]), _time(found[2]))


def _zoned(text: str) -> datetime:
    found = _ZONED.fullmatch(text) or _MOMENT.fullmatch(text)
    if found is None:
        raise _NotKept("a date and time from 0001-01-01 to 9999-12-31, in UTC")
    return datetime.combine(_date(found[1]), _time(found[2]))


def _six(text: str) -> str:
    """With all digits of its fraction, as Python 3.10's kin read it."""
    whole, point, fraction = text.partition(".")
    return f"{whole}.{fraction:0<6}" if point else text


@dataclass(frozen=True, slots=True)
class FromArrow:
    """What reads a column of a file."""

    name: str
    #: The texts of some values.
    read: Callable[[Any], Sequence[str | None]]
    source: str
    arrow: ModuleType

    @classmethod
    def of(cls, field: Any, arrow: ModuleType, *, source: str) -> Self:
        """By the column's type; raises TaskError for one that has no text."""
        kind = field.type
        if arrow.types.is_dictionary(kind):
            kind = kind.value_type
        read = _reader(kind, arrow)
        if read is None:
            message = (
                f"{source}, column {field.name!r}: found the type {kind}, which has no text; list "
                "the columns that are wanted in the data format"
            )
            raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
        return cls(field.name, read, source, arrow)

    def texts(self, array: Any, rows_before: int) -> Sequence[str | None]:
        """The texts of a batch's values."""
        if self.arrow.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        try:
            return self.read(array)
        except (self.arrow.ArrowException, UnicodeDecodeError, ValueError) as error:
            message = f"{self.source}: behind row {rows_before}, column {self.name!r}: {error}"
            raise TaskError(message, error_id=ErrorId.INVALID_FIELD) from error


_Read = Callable[[Any], Sequence[str | None]]


def _reader(kind: Any, arrow: ModuleType) -> _Read | None:
    """What gives the texts of an array of this type; None where there are none."""
    types = arrow.types
    readers: list[tuple[Callable[[Any], bool], _Read]] = [
        (types.is_null, lambda array: [None] * len(array)),
        (types.is_string, lambda array: array.to_pylist()),
        (types.is_large_string, lambda array: array.to_pylist()),
        (types.is_string_view, lambda array: array.to_pylist()),
        (types.is_integer, _each(str)),
        (types.is_decimal, _each(lambda value: f"{value:f}")),
        (types.is_boolean, _each(lambda value: "true" if value else "false")),
        (types.is_float64, _each(_float_text)),
        (types.is_floating, _singles),
        (types.is_binary, _each(text_of)),
        (types.is_large_binary, _each(text_of)),
        (types.is_binary_view, _each(text_of)),
        (types.is_fixed_size_binary, _each(text_of)),
        (types.is_date, lambda array: array.cast("date32").cast("string").to_pylist()),
        (types.is_time, _of_times(kind)),
        (types.is_timestamp, _of_times(kind)),
    ]
    return next((read for is_kind, read in readers if is_kind(kind)), None)


def _each(convert: Callable[[Any], str]) -> _Read:
    def read(array: Any) -> Sequence[str | None]:
        return [None if value is None else convert(value) for value in array.to_pylist()]

    return read


def _singles(array: Any) -> Sequence[str | None]:
    """The fewest digits that read back the same single, and do not lie beyond the largest."""
    texts = array.cast("float").cast("string").to_pylist()
    return [None if text is None else _SINGLES.get(text, text) for text in texts]


def _float_text(value: float) -> str:
    text = repr(value)
    return _NAMES.get(text, text)


#: As PostgreSQL calls what is no finite number.
_NAMES = {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
#: Of the largest single the fewest digits lie beyond it, which MySQL refuses.
_SINGLES = {
    **_NAMES,
    "3.4028235e+38": "3.402823466e+38",
    "-3.4028235e+38": "-3.402823466e+38",
}


def _of_times(kind: Any) -> _Read:
    zone = "+00" if getattr(kind, "tz", None) else ""

    def read(array: Any) -> Sequence[str | None]:
        if zone:
            array = array.cast(f"timestamp[{kind.unit}]")
        return [None if t is None else _short(t) + zone for t in array.cast("string").to_pylist()]

    return read


def _short(text: str) -> str:
    """Without zeros at the end of its fraction, as PostgreSQL writes it."""
    return text.rstrip("0").rstrip(".") if "." in text else text
