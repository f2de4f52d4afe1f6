"""Items as JSON rows for Spark: every value is kept as it is, or refused."""

from __future__ import annotations

import json

import pytest

from taskrunner.data.dynamodb.items import BadItem, Item
from taskrunner.data.dynamodb.typed_rows import Column, TypedRows


def column(kind: str, *, name: str = "c", attribute: str = "A") -> Column:
    return Column(name=name, type=kind, attribute=attribute)


COLUMNS = [
    column("string", name="id", attribute="Id"),
    column("DECIMAL(38,10)", name="n", attribute="N"),
    column("boolean", name="ok", attribute="Ok"),
    column("binary", name="bin", attribute="Bin"),
]
ITEM: Item = {
    "Id": {"S": 'a, "b"\n\x01é'},
    "N": {"N": "1234567890123456789012345678.0000000001"},
    "Ok": {"BOOL": True},
    "Bin": {"B": "AAE="},
}


def test_an_item_is_the_same_after_both_ways() -> None:
    rows = TypedRows(COLUMNS)
    line = rows.line(ITEM)
    assert line.count(b"\n") == 1
    assert b'"n":1234567890123456789012345678.0000000001' in line
    assert rows.item(line) == ITEM


def test_what_is_not_there_is_null_and_null_is_no_attribute() -> None:
    rows = TypedRows(COLUMNS)
    assert rows.line({"Id": {"S": ""}, "Other": {"S": "x"}, "N": {"NULL": True}}) == b'{"id":""}\n'
    assert rows.item(b'{"ID":"","n":null}') == {"Id": {"S": ""}}


def test_the_schema_is_sparks() -> None:
    kinds = ["varchar(10)", "decimal(10, 2)", "bigint"]
    assert [column(kind).spark_type for kind in kinds] == ["STRING", "DECIMAL(10, 2)", "BIGINT"]


@pytest.mark.parametrize(
    ("kind", "text", "written"),
    [
        ("TINYINT", "-128", "-128"),
        ("BIGINT", "9223372036854775807", "9223372036854775807"),
        ("INT", "1E+3", "1000"),
        ("DECIMAL(4,2)", "99.99", "99.99"),
        ("DECIMAL(5)", "99999", "99999"),
        ("DOUBLE", "1.5E-7", "0.00000015"),
        ("STRING", "1.50", '"1.50"'),
    ],
)
def test_numbers_that_a_column_holds(kind: str, text: str, written: str) -> None:
    line = TypedRows([column(kind)]).line({"A": {"N": text}})
    assert line.decode() == f'{{"c":{written}}}\n'
    json.loads(line)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("TINYINT", {"N": "128"}, "found 128, which the column 'c' of type TINYINT does not hold"),
        ("BIGINT", {"N": "9223372036854775808"}, "does not hold"),
        ("INT", {"N": "1.5"}, "found 1.5, which the column"),
        ("DECIMAL(4,2)", {"N": "1.005"}, "does not hold"),
        ("DECIMAL(4,2)", {"N": "100"}, "does not hold"),
        ("DECIMAL", {"N": "0.5"}, "does not hold"),
        ("INT", {"S": "1"}, "found the kind S, and its column 'c' wants N"),
        ("STRING", {"SS": ["a"]}, "found the kind SS"),
    ],
)
def test_what_a_column_does_not_hold_is_refused(
    kind: str, value: dict[str, object], text: str
) -> None:
    with pytest.raises(BadItem, match=f"attribute 'A': .*{text}"):
        TypedRows([column(kind)]).line({"A": value})


@pytest.mark.parametrize("line", [b'{"c":"NaN"}', b'{"c":true}', b'{"c":[1]}'])
def test_what_dynamodb_does_not_take_is_refused(line: bytes) -> None:
    with pytest.raises(BadItem, match="'A'"):
        TypedRows([column("DOUBLE")]).item(line)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"c":', "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b'{"d":1}', "a column 'd', wanted c"),
    ],
)
def test_what_is_no_row_of_the_columns_is_refused(line: bytes, text: str) -> None:
    with pytest.raises(BadItem, match=text):
        TypedRows([column("INT")]).item(line)


@pytest.mark.parametrize("kind", ["TIMESTAMP", "map<string,string>", "", "DECIMAL(1,2"])
def test_a_type_without_a_single_value_is_no_column(kind: str) -> None:
    with pytest.raises(ValueError, match="wanted one of STRING"):
        column(kind)
