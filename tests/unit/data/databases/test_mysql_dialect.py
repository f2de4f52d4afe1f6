from __future__ import annotations

import pytest

from taskrunner.data.databases.mysql_dialect import assumed_after, dialect_of
from taskrunner.data.databases.script import split

PLAIN = dialect_of(["NO_BACKSLASH_ESCAPES"])


@pytest.mark.parametrize(
    ("modes", "script", "expected"),
    [
        ([], r"select 'a\';b'; x", [r"select 'a\';b'", "x"]),
        ([], r'select "a\";b"; x', [r'select "a\";b"', "x"]),
        (["NO_BACKSLASH_ESCAPES"], r"select 'C:\'; x", [r"select 'C:\'", "x"]),
        (["NO_BACKSLASH_ESCAPES"], r'select "C:\"; x', [r'select "C:\"', "x"]),
        (["ANSI_QUOTES"], r'select "C:\"; x', [r'select "C:\"', "x"]),
        (["ANSI"], r'select "C:\"; x', [r'select "C:\"', "x"]),
        (["ANSI_QUOTES"], r"select 'a\';b'; x", [r"select 'a\';b'", "x"]),
    ],
)
def test_the_mode_says_what_a_backslash_is(
    modes: list[str], script: str, expected: list[str]
) -> None:
    assert [each.text for each in split(script, dialect_of(modes))] == expected


@pytest.mark.parametrize(
    "statement",
    [
        "set sql_mode = 'NO_BACKSLASH_ESCAPES'",
        'SET SESSION sql_mode="STRICT_TRANS_TABLES,no_backslash_escapes"',
        "set @@session.sql_mode := 'NO_BACKSLASH_ESCAPES'",
        "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_BACKSLASH_ESCAPES' */",
        "set sql_mode = concat(@@sql_mode, ',NO_BACKSLASH_ESCAPES')",
    ],
)
def test_what_a_statement_sets_is_known_before(statement: str) -> None:
    assert assumed_after(statement, dialect_of([])) == PLAIN


def test_what_cannot_be_known_is_not_certain() -> None:
    assert assumed_after("set sql_mode = @before", PLAIN) == PLAIN
    assert assumed_after("set sql_mode = ''", PLAIN) == dialect_of([])
    assert assumed_after("set names utf8mb4", PLAIN) is None
