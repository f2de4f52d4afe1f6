from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

from taskrunner.secret import Secret
from taskrunner.service.store.arrays import array_text

MOMENT = datetime(2026, 2, 13, 2, 0, 0, 5, tzinfo=timezone(timedelta(hours=1)))


class Shown(StrEnum):
    """Members whose `str` is not their value."""

    ONE = "one"

    def __str__(self) -> str:
        return "shown"


def test_values_are_elements_of_an_array() -> None:
    assert array_text([None, "NULL", "", 'a"b', "a\\b"]) == r'{NULL,"NULL","","a\"b","a\\b"}'
    assert array_text([1, 2.5, True, 1e300]) == "{1,2.5,True,1e+300}"
    assert array_text([MOMENT, datetime(2026, 2, 13, tzinfo=UTC)]) == (
        '{"2026-02-13T02:00:00.000005+01:00","2026-02-13T00:00:00+00:00"}'
    )
    assert array_text([{"a": 'b"'}]) == r'{"{\"a\": \"b\\\"\"}"}'


def test_plain_texts_are_joined_and_others_are_not() -> None:
    assert array_text(["a", "b,{}", ""]) == '{"a","b,{}",""}'
    assert array_text(["a", 'b","c']) == r'{"a","b\",\"c"}'
    assert array_text(["a", "b\\"]) == r'{"a","b\\"}'
    assert array_text(["a", None]) == '{"a",NULL}'


def test_a_value_that_all_have_is_said_as_often() -> None:
    assert array_text(["a"] * 3) == '{"a","a","a"}'
    assert array_text([None] * 2) == "{NULL,NULL}"


def test_texts_of_other_classes_are_what_they_hold() -> None:
    assert array_text([Shown.ONE, Secret("two")]) == '{"one","two"}'
