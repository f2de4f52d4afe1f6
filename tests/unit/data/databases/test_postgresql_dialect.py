from __future__ import annotations

import pytest

from taskrunner.data.databases.postgresql_dialect import (
    OLD,
    REDSHIFT,
    STANDARD,
    assumed_after,
    dialect_of,
)
from taskrunner.data.databases.script import split


@pytest.mark.parametrize(
    ("setting", "script", "expected"),
    [
        ("on", r"select 'C:\'; x", [r"select 'C:\'", "x"]),
        ("on", r"select u&'\0041;\'; x", [r"select u&'\0041;\'", "x"]),
        ("on", r"select e'a\';b'; x", [r"select e'a\';b'", "x"]),
        ("on", r"select typE'a\'; x", [r"select typE'a\'", "x"]),
        ("off", r"select 'a\';b'; x", [r"select 'a\';b'", "x"]),
        ("off", r"select u&'\0041\'; x", [r"select u&'\0041\'", "x"]),
        ("off", r"select B'1', n'a\';b'; x", [r"select B'1', n'a\';b'", "x"]),
        ("on", "select 1 --;\r, 2; x", ["select 1 --;\r, 2", "x"]),
    ],
)
def test_the_setting_says_what_a_backslash_is(
    setting: str, script: str, expected: list[str]
) -> None:
    assert [each.text for each in split(script, dialect_of(setting))] == expected


def test_in_redshift_a_backslash_escapes() -> None:
    assert [each.text for each in split(r"select 'a\';b'; x", REDSHIFT)] == [r"select 'a\';b'", "x"]


def test_what_a_statement_sets_is_known_before() -> None:
    assert assumed_after("set standard_conforming_strings = off") == OLD
    by_function = "select SET_CONFIG( 'standard_conforming_strings' , '{}', false)"
    assert assumed_after(by_function.format("off")) == OLD
    assert assumed_after(by_function.format("on")) == STANDARD
    assert assumed_after("SET LOCAL standard_conforming_strings TO 'on'") == STANDARD
    assert assumed_after("reset standard_conforming_strings") == STANDARD
    assert assumed_after("select 1") is None
