from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskrunner.data.databases.base import Row
from taskrunner.data.databases.batches import in_batches
from taskrunner.errors import PermanentTaskError


def test_a_batch_has_a_thousand_rows() -> None:
    rows: list[Row] = [["1", None, ""]] * 2500
    found = list(in_batches(rows, ("a", "b", "c"), source="db"))
    assert [len(batch) for batch in found] == [1000, 1000, 500]
    assert [row for batch in found for row in batch] == rows


def test_a_batch_ends_where_it_is_a_megabyte_long() -> None:
    rows: list[Row] = [["x" * (300 << 10), None]] * 9
    assert [len(b) for b in in_batches(rows, ("a", "b"), source="db")] == [4, 4, 1]


def test_no_more_rows_are_taken_than_a_batch_holds() -> None:
    taken = []

    def rows() -> Iterator[Row]:
        for n in range(5):
            taken.append(n)
            yield ["x" * (1 << 20)]

    assert len(next(in_batches(rows(), ("a",), source="db"))) == 1
    assert taken == [0]


def test_nothing_is_no_batch() -> None:
    assert list(in_batches([], ("a",), source="db")) == []


def test_a_value_that_is_too_long_is_named() -> None:
    rows: list[Row] = [["short", "x" * 8], ["1", "x" * 11]]
    with pytest.raises(PermanentTaskError, match=r"db: row 2, column 'note' has 11 characters"):
        list(in_batches(rows, ("id", "note"), source="db", most_in_value=10))


def test_many_values_may_be_longer_than_one() -> None:
    rows: list[Row] = [["x" * 8, None, "y" * 8]]
    assert list(in_batches(rows, ("a", "b", "c"), source="db", most_in_value=10)) == [rows]
