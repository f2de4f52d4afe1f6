"""What COPY does to values on their way into a column. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from taskrunner.data.redshift.tokens import unreadable

Value = str | None
Convert = Callable[[Value], Value]
_CHARACTER = frozenset({"character varying", "character", "text", "bpchar", "varchar"})
_MOMENTS = frozenset({"timestamp without time zone", "timestamp with time zone", "date"})
#: What PostgreSQL reads without being told.
_DATES = frozenset({"auto", "yyyy-mm-dd", "yyyymmdd", "yyyy/mm/dd"})
_TIMES = frozenset(
    {
        *("auto", "yyyy-mm-dd hh:mi:ss", "yyyy-mm-dd hh24:mi:ss", "yyyy-mm-ddthh:mi:ss"),
        *("yyyy-mm-dd hh:mi:ssof", "yyyy-mm-dd hh24:mi:ss.ms", "yyyy-mm-dd hh:mi:ss.ms"),
    }
)
_EPOCHS = {"epochsecs": 1, "epochmillisecs": 1000}
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Given(Protocol):
    """The options of a COPY."""

    def has(self, name: str) -> bool:
        """Whether an option is given."""
        ...

    def value(self, name: str, default: str) -> str:
        """What an option is given."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the table."""

    name: str
    #: As PostgreSQL writes it, without length.
    type: str
    #: Of texts, how many characters it takes; None: any number.
    length: int | None = None

    @property
    def is_text(self) -> bool:
        """Whether it holds characters."""
        return self.type in _CHARACTER


def conversions(given: Given, columns: Sequence[Column]) -> Callable[[list[Value]], list[Value]]:
    """What is done to each row that has a value for each column."""
    _check_formats(given)
    steps = [_steps(given, column) for column in columns]

    def convert(row: list[Value]) -> list[Value]:
        converted = []
        for value, of_column in zip(row, steps, strict=True):
            found = value
            for step in of_column:
                found = step(found) if found is not None else None
            converted.append(found)
        return converted

    return convert


def fitted(given: Given, row: list[Value], width: int) -> list[Value] | str:
    """The row with as many values as there are columns, or why it has not."""
    if len(row) < width and given.has("FILLRECORD"):
        return [*row, *[None] * (width - len(row))]
    if len(row) < width:
        return "Delimiter not found"
    return row if len(row) == width else "Extra column(s) found"


def _check_formats(given: Given) -> None:
    date, time = given.value("DATEFORMAT", "auto"), given.value("TIMEFORMAT", "auto")
    for name, found, known in (
        ("DATEFORMAT", date, _DATES),
        ("TIMEFORMAT", time, _TIMES | _EPOCHS.keys()),
    ):
        if found.lower() not in known:
            raise unreadable(
                f"COPY: the PostgreSQL in Redshift's place has no {name} {found!r}; it knows "
                f"{', '.join(sorted(known))}"
            )


def _steps(given: Given, column: Column) -> list[Convert]:
    steps: list[Convert] = []
    if given.has("TRIMBLANKS") and column.is_text:
        steps.append(_without_blanks)
    if given.has("BLANKSASNULL"):
        steps.append(_blank_is_null)
    # Of an empty field only texts can be made; elsewhere it is NULL without being asked.
    if given.has("EMPTYASNULL") or not column.is_text:
        steps.append(_empty_is_null)
    if given.has("TRUNCATECOLUMNS") and column.is_text and column.length is not None:
        steps.append(_cut_to(column.length))
    epoch = _EPOCHS.get(given.value("TIMEFORMAT", "auto").lower())
    if epoch is not None and column.type in _MOMENTS:
        steps.append(_counted_in(epoch))
    return steps


def _without_blanks(value: Value) -> Value:
    return None if value is None else value.rstrip(" ")


def _cut_to(length: int) -> Convert:
    return lambda value: None if value is None else value[:length]


def _counted_in(unit: int) -> Convert:
    return lambda value: None if value is None else _moment(value, unit)


def _blank_is_null(value: Value) -> Value:
    return None if value is not None and value != "" and value.isspace() else value


def _empty_is_null(value: Value) -> Value:
    return value or None


def _moment(text: str, unit: int) -> str:
    try:
        moment = _BEGINNING + timedelta(seconds=float(text) / unit)
    except (ValueError, OverflowError):
        return text  # for the server to refuse
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
