from __future__ import annotations

import re

import pytest

from taskrunner.data.fitting.columns import (
    Batch,
    Fitting,
    LossyValueError,
    TargetColumn,
    column_named,
    columns_of_rows,
    names_as_declared,
)
from taskrunner.data.fitting.numbers import BitsAsNumber, Scaled
from taskrunner.data.fitting.rules import OnLossyValue
from taskrunner.errors import TaskError

PRICE = TargetColumn(name="price", type="decimal(5,2)", rule=Scaled(2))
NOTE = TargetColumn(name="note", type="text")
SEEN = TargetColumn(name="seen", type="timestamp", null_becomes="the present time")
TOTAL = TargetColumn(name="total", type="int", is_generated=True)
HIDDEN = TargetColumn(name="hidden", type="int", is_hidden=True)
COLUMNS = (NOTE, PRICE, SEEN, TOTAL, HIDDEN)
ROWS: Batch = (("1.999", "1.25", "now"), (None, None, "now"), ("x", "1.999", "now"))


def fit(batch: Batch, policy: OnLossyValue) -> Batch:
    columns = columns_of_rows(COLUMNS, (), table="t", width=3)
    return Fitting(columns, policy, table="t").fit(batch, first=11)


def test_the_row_and_the_column_are_named() -> None:
    with pytest.raises(LossyValueError) as caught:
        fit(ROWS, OnLossyValue.FAIL)
    assert str(caught.value) == (
        "row 13, column 'price' (decimal(5,2)) of table 't': '1.999' would be stored as '2.00'; "
        "wanted a value that the column keeps, or onLossyValue round or truncate"
    )
    assert caught.value.row == 13


def test_a_name_is_that_of_its_own_column_and_else_of_one_in_another_case() -> None:
    beside = [TargetColumn(name=name, type="") for name in ("v", "V", "Id")]
    assert names_as_declared(["V", "v", "ID", "none"], beside) == ("V", "v", "Id", "none")
    twice = [TargetColumn(name=name, type="") for name in ("iD", "Id")]
    assert column_named("ID", twice) is None


def test_a_policy_that_is_of_no_help_is_not_named() -> None:
    column = TargetColumn(name="b", type="bit(4)", rule=BitsAsNumber())
    with pytest.raises(LossyValueError) as caught:
        Fitting([column], OnLossyValue.ROUND, table="t").fit([["0101"]], first=1)
    assert str(caught.value).endswith("; wanted a value that the column keeps")


def test_only_what_is_not_kept_is_changed() -> None:
    assert fit(ROWS[:2], OnLossyValue.FAIL) is not ROWS
    assert fit(ROWS[:2], OnLossyValue.FAIL) == ROWS[:2]
    assert [*map(list, fit(ROWS, OnLossyValue.ROUND))] == [
        ["1.999", "1.25", "now"],
        [None, None, "now"],
        ["x", "2.00", "now"],
    ]
    assert fit(ROWS, OnLossyValue.TRUNCATE)[2][1] == "1.99"


def test_null_that_would_become_a_value_is_refused_by_every_policy() -> None:
    for policy in OnLossyValue:
        with pytest.raises(LossyValueError, match=r"row 11, .*'seen'.* NULL .*the present time"):
            fit([("x", "1", None)], policy)


def test_columns_are_those_that_are_listed_or_the_tables_own_in_order() -> None:
    found = columns_of_rows(COLUMNS, ("PRICE", "nothere"), table="t", width=2)
    assert found == [PRICE, None]
    assert columns_of_rows(COLUMNS, (), table="t", width=3) == [NOTE, PRICE, SEEN]
    assert columns_of_rows((), (), table="t", width=2) == [None, None]


def test_a_wrong_number_of_values_is_told_with_what_the_server_makes_itself() -> None:
    words = re.escape(
        "rows have 4 values, but table 't' takes 3 (note, price, seen); the server makes total "
        "itself: leave it out of what is read, or list the other columns in the data format"
    )
    with pytest.raises(TaskError, match=words):
        columns_of_rows(COLUMNS, (), table="t", width=4)


def test_a_character_that_the_server_has_not_is_told_with_its_column() -> None:
    fitting = Fitting([NOTE, PRICE], OnLossyValue.ROUND, table="t")
    fitting.refuse("\0", [["a", None]], first=1)
    with pytest.raises(LossyValueError, match=r"row 8, column 'note' \(text\).* character '\\x00'"):
        fitting.refuse("\0", [["a", None], ["b\0", "1"]], first=7)
