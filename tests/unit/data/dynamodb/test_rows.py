from __future__ import annotations

import pytest

from taskrunner.data.dynamodb.items import BadItem, Item
from taskrunner.data.dynamodb.rows import Rows

TYPES = {"id": "STRING", "n": "DECIMAL", "on": "BOOLEAN", "raw": "BINARY"}


def test_items_come_back_from_their_rows() -> None:
    items: list[Item] = [
        {"id": {"S": "a"}, "n": {"N": "1.50"}, "on": {"BOOL": True}, "raw": {"B": "AAE="}},
        {"id": {"S": ""}, "on": {"BOOL": False}},
        {"id": {"S": r"\N, a 'text' with" + "\n\ttwo lines"}},
    ]
    rows = Rows(TYPES)
    assert rows.row(items[0]) == ["a", "1.50", "true", "AAE="]
    assert rows.row(items[1]) == ["", None, "false", None]
    assert [rows.item(rows.row(item)) for item in items] == items


def test_columns_are_found_in_any_case_and_numbers_are_texts_too() -> None:
    item: Item = {"ID": {"N": "12"}, "id": {"S": "exact"}, "N": {"N": "3"}, "on": {"NULL": True}}
    assert Rows({"id": "STRING", "n": "INT", "on": "BOOLEAN"}).row(item) == ["exact", "3", None]
    assert Rows({"Id": "STRING"}).row({"iD": {"N": "12"}}) == ["12"]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"n": {"S": "1"}}, "attribute 'n': found the kind S, and its column wants N"),
        ({"id": {"SS": ["a"]}}, "attribute 'id': found the kind SS, and its column wants S"),
    ],
)
def test_an_attribute_of_another_kind_is_told(item: Item, message: str) -> None:
    with pytest.raises(BadItem) as caught:
        Rows(TYPES).row(item)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["a"], "found 1 values, wanted 4"),
        (["a", "one", None, None], "'n'"),
        (["a", None, "yes", None], "attribute 'on': found 'yes', wanted true or false"),
        (["a", None, None, "?"], "'raw'"),
    ],
)
def test_a_row_that_is_no_item_is_told(row: list[str | None], message: str) -> None:
    with pytest.raises(BadItem, match=message):
        Rows(TYPES).item(row)


def test_types_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match="no row of text has the type MAP of 'm'; known: STRING"):
        Rows({"m": "MAP"})
