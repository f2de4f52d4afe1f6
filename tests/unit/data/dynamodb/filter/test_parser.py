"""Filters: which items they let pass, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.data.dynamodb.filter.parser import parse
from taskrunner.data.dynamodb.filter.tokens import BadFilter
from taskrunner.data.dynamodb.filter.values import is_like
from taskrunner.data.dynamodb.items import Item

NOW = datetime(2026, 2, 16, 3, tzinfo=UTC)
ITEM: Item = {
    "id": {"S": "user-7"},
    "timeStamp": {"N": "1771210800"},
    "ratio": {"N": "0.25"},
    "big": {"N": "12345678901234567890123456789012345678"},
    "year": {"S": "2026"},
    "name": {"S": "O'Neil 50%"},
    "active": {"BOOL": True},
    "gone": {"NULL": True},
    "tags": {"SS": ["a"]},
}


def passes(text: str, columns: Mapping[str, str] | None = None) -> bool:
    return parse(text, columns=columns or {}, now=NOW)(ITEM)


@pytest.mark.parametrize(
    "text",
    [
        "id = 'user-7'",
        'id == "user-7"',
        "`id` = 'user-7'",
        "ID='user-7'",
        "id != 'x' and id <> 'y'",
        "ratio = 0.25",
        "ratio = .25e0 AND ratio < 1 AND ratio <= 0.25 AND ratio > -1 AND ratio >= 0",
        "big = 12345678901234567890123456789012345678",
        "NOT big = 12345678901234567890123456789012345679",
        "big + 1 = 12345678901234567890123456789012345679",
        "ratio * 4 - 1 = 0",
        "1 - 2 - 3 = -4",
        "2 + 3 * 4 = 14 AND (2 + 3) * 4 = 20",
        # A number beside a text makes a number of the text.
        "year > 2025",
        "year = '2026'",
        "timeStamp > '5'",
        "id IN ('a', 'user-7')",
        "ratio in (1, 2, 0.25)",
        "id NOT IN ('a', 'b')",
        "ratio BETWEEN 0.2 AND 0.3 AND active",
        "ratio NOT BETWEEN 1 AND 2",
        "id LIKE 'user-_'",
        "id LIKE '%7'",
        r"name LIKE '%50\\%'",
        r"name LIKE '%50\%'",
        "id NOT LIKE 'x%'",
        r"name = 'O\'Neil 50%'",
        "active",
        "active = true",
        "NOT active = FALSE",
        "gone IS NULL",
        "missing IS NULL",
        "id IS NOT NULL",
        "tags IS NOT NULL",
        "missing <=> NULL AND id <=> 'user-7'",
        "NOT (id <=> NULL)",
        "id = 'x' OR missing = 1 OR id = 'user-7'",
        "(id = 'x' OR id = 'user-7') AND active",
        "length(id) = 6 AND lower('ABC') = 'abc' AND UCASE(id) = 'USER-7'",
        "coalesce(missing, gone, 'x') = 'x' AND nvl(missing, 1) = 1 AND trim(' a ') = 'a'",
        "CAST(year AS BIGINT) = 2026 AND cast(ratio as int) = 0 AND cast(7 as string) = '7'",
        "unix_timestamp() = 1771210800",
        "timeStamp >= unix_timestamp() - 86400",
        "unix_timestamp('2026-02-16 03:00:00') = 1771210800",
        """`timeStamp` = unix_timestamp("2026-02-16T03:00:00", "yyyy-MM-dd'T'HH:mm:ss")""",
        "unix_timestamp('16/2/2026', 'd/M/yyyy') = 1771200000",
        "unix_timestamp('never') IS NULL",
        "unix_timestamp('2026-02-30 00:00:00') is null",
    ],
)
def test_it_passes(text: str) -> None:
    assert passes(text)
    assert not passes(f"NOT ({text})")


@pytest.mark.parametrize(
    "text",
    [
        "missing = 1",
        "missing <> 1",
        "gone = 'x'",
        "tags = 'a'",
        "tags <> 'a'",
        "id > 5",
        "active > 1",
        "missing IN (1, 2)",
        "id NOT IN ('a', NULL)",
        "missing LIKE '%'",
        "missing + 1 > 0",
        "NULL",
        "id",
        "missing BETWEEN 1 AND 2",
        "lower(missing) = 'x'",
        "NOT missing",
        "missing AND active",
        "gone OR missing",
        "unix_timestamp('x', year) > 0",
        "cast('1e999999999' as bigint) > 0",
    ],
)
def test_what_is_unknown_does_not_pass_nor_does_its_opposite(text: str) -> None:
    assert not passes(text)
    assert not passes(f"NOT ({text})")


@pytest.mark.parametrize(
    ("pattern", "value", "like"),
    [
        ("%", "", True),
        ("", "", True),
        ("", "a", False),
        ("a%a", "a", False),
        ("a%a", "aa", True),
        ("%a%b%", "xxbxaxb", True),
        ("%a%b%", "xbxa", False),
        ("%_b", "ab\n b", True),
        ("a_c%", "abcd", True),
        ("a_c%", "acd", False),
        ("%%", "x", True),
        (r"100\%", "100%", True),
        (r"100\%", "1000", False),
        (r"a\_b", "a_b", True),
        (r"a\_b", "axb", False),
        ("a.c", "abc", False),
        ("%a" * 30 + "b", "a" * 5000, False),
    ],
)
def test_like(pattern: str, value: str, like: bool) -> None:
    assert is_like(value, pattern) is like


def test_declared_columns_have_the_types_that_they_are_given() -> None:
    columns = {"year": "BIGINT", "ratio": "INT", "id": "STRING", "tags": "ARRAY"}
    assert passes("year = 2026 AND ratio = 0 AND id > 'u' AND tags IS NOT NULL", columns)
    assert passes("YEAR BETWEEN 2025 AND 2027", columns)
    with pytest.raises(BadFilter, match=r"column 1: found 'name', wanted a column of the data"):
        passes("name = 'x'", columns)


def test_the_exact_name_of_an_attribute_counts_first() -> None:
    test = parse("Id = 'b'", columns={}, now=NOW)
    assert test({"id": {"S": "a"}, "Id": {"S": "b"}})
    assert not test({"iD": {"S": "a"}})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "column 1: found the end, wanted a column, a value or a function"),
        ("id =", "column 5: found the end"),
        ("id = 'x", 'column 6: found "\'x", which is not understood'),
        ("id = 'x' 'y'", "column 10: found 'y', wanted AND, OR or the end"),
        ("id = 5x", "column 6: found '5x', which is not understood"),
        ("(id = 'x'", "column 10: found the end, wanted ')'"),
        ("id IN 'x'", "column 7: found 'x', wanted '('"),
        ("id IS 5", "column 7: found '5', wanted NULL"),
        ("id NOT 5", "column 8: found '5', wanted IN, BETWEEN or LIKE after NOT"),
        ("n BETWEEN 1", "column 12: found the end, wanted AND"),
        ("id RLIKE 'x'", "column 4: RLIKE cannot be used here; there are comparisons, IN"),
        ("WHERE id = 1", "column 1: WHERE cannot be used here"),
        ("case when a then b end", "column 1: case cannot be used here"),
        ("id = 1; drop table x", "column 7: found '; drop tab', which is not understood"),
        ("concat(id, 'x') = 'y'", "column 1: there is no function 'concat' here; known: COALESCE"),
        ("length() = 1", "column 1: found 0 arguments of length, wanted 1 to 1"),
        ("cast(id) = 1", "column 8: found ')', wanted AS"),
        ("cast(id as thing) = 1", "column 12: found 'thing', wanted a type (STRING"),
        ("unix_timestamp(id, 'EEE') > 1", "column 20: the date pattern 'EEE' has 'EEE'; known"),
        ("unix_timestamp(id, 'yyyy yyyy') > 1", "column 20: the date pattern"),
        ("(" * 5000, "nested too deeply"),
        ("NOT " * 5000 + "active", "nested too deeply"),
    ],
)
def test_what_is_not_understood_says_where(text: str, problem: str) -> None:
    with pytest.raises(BadFilter) as caught:
        passes(text)
    assert problem in str(caught.value)


def test_a_long_filter_is_no_deep_one() -> None:
    ids = ", ".join(f"'x{number}'" for number in range(5000))
    assert not passes(f"id IN ({ids})")
    assert passes(" AND ".join(["active"] * 5000))


_NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=4).map(
    lambda number: number if abs(number) < 10**20 else Decimal(0)
)


@given(_NUMBERS, _NUMBERS)
def test_numbers_compare_as_numbers_do(left: Decimal, right: Decimal) -> None:
    item: dict[str, Any] = {"n": {"N": format(left, "f")}}
    for sign, expected in (("<", left < right), ("=", left == right), (">", left > right)):
        text = f"n {sign} {format(right, 'f')}"
        assert parse(text, columns={}, now=NOW)(item) is expected
