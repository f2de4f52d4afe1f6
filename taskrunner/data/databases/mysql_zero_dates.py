"""Dates of MySQL's that are all zeros, read as the connection's `zeroDateTimeBehavior` says."""

from __future__ import annotations

from collections.abc import Sequence

from pymysql.constants import FIELD_TYPE

from taskrunner.data.databases.properties import ZeroDates
from taskrunner.data.fitting.columns import Batch, Row
from taskrunner.errors import TaskError

_DATES = {FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP}
_ZERO = "0000-00-00"


class ZeroDateReader:
    """Reads batches of a query whose columns have these names and types."""

    def __init__(self, behavior: ZeroDates, columns: Sequence[tuple[str, int]]) -> None:
        self._behavior = behavior
        self._dates = {n: name for n, (name, kind) in enumerate(columns) if kind in _DATES}
        self._rows = 0

    def read(self, batch: Batch) -> Batch:
        """The batch with what zeros are read as; raises TaskError where they are to fail."""
        if self._behavior is not ZeroDates.KEEP and self._dates:
            batch = [self._row(number, row) for number, row in enumerate(batch, self._rows + 1)]
        self._rows += len(batch)
        return batch

    def _row(self, number: int, row: Row) -> Row:
        values = list(row)
        for position, name in self._dates.items():
            value = values[position]
            if value is not None and value.startswith(_ZERO):
                values[position] = self._value(value, name, number)
        return values

    def _value(self, value: str, name: str, number: int) -> str | None:
        if self._behavior is ZeroDates.FAIL:
            message = f"row {number}, column {name!r}: the date {value} is zero, which "
            raise TaskError(f"{message}zeroDateTimeBehavior=exception does not let pass")
        return None if self._behavior is ZeroDates.NULL else "0001-01-01" + value[len(_ZERO) :]
