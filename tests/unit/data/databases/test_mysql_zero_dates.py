from __future__ import annotations

from collections.abc import Sequence

import pytest
from pymysql.constants import FIELD_TYPE

from taskrunner.data.databases.mysql_zero_dates import ZeroDateReader
from taskrunner.data.databases.properties import ZeroDates
from taskrunner.data.fitting.columns import Row
from taskrunner.errors import TaskError

COLUMNS: list[tuple[str, int]] = [
    ("note", FIELD_TYPE.VAR_STRING),
    ("day", FIELD_TYPE.DATE),
    ("at", FIELD_TYPE.DATETIME),
    ("seen", FIELD_TYPE.TIMESTAMP),
]
PLAIN: Row = ("0000-00-00", "2026-00-00", None, "2026-02-13 02:00:00")
ZERO: Row = ("0000-00-00", "0000-00-00", "0000-00-00 00:00:00.000", "0000-00-00 00:00:00")


def read(behavior: ZeroDates, *rows: Row) -> Sequence[Row]:
    reader = ZeroDateReader(behavior, COLUMNS)
    batches: list[Sequence[Row]] = [[PLAIN], rows]
    return [tuple(row) for batch in batches for row in reader.read(batch)][1:]


def test_without_the_property_they_are_kept() -> None:
    assert read(ZeroDates.KEEP, PLAIN, ZERO) == [PLAIN, ZERO]


def test_they_are_read_as_null() -> None:
    assert read(ZeroDates.NULL, PLAIN, ZERO) == [PLAIN, ("0000-00-00", None, None, None)]


def test_they_are_read_as_the_first_of_days() -> None:
    first = "0001-01-01"
    assert read(ZeroDates.YEAR_ONE, PLAIN, ZERO) == [
        PLAIN,
        ("0000-00-00", first, f"{first} 00:00:00.000", f"{first} 00:00:00"),
    ]


def test_they_fail_with_row_and_column() -> None:
    with pytest.raises(TaskError, match="row 3, column 'day': the date 0000-00-00 is zero"):
        read(ZeroDates.FAIL, PLAIN, ZERO)
