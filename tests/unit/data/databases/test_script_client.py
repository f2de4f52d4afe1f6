r"""Lines for the server's own client; what that does, tests/chaos/test_sql_scripts.py asks it."""

from __future__ import annotations

import pytest

from taskrunner.data.databases import mysql_dialect, postgresql_dialect, sqlite
from taskrunner.data.databases.dialect import Dialect
from taskrunner.data.databases.script import split
from taskrunner.errors import PermanentTaskError

MYSQL, POSTGRESQL = mysql_dialect.dialect_of(()), postgresql_dialect.STANDARD


def texts(script: str, dialect: Dialect) -> list[str]:
    return [statement.text for statement in split(script, dialect)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("delimiter //\na; b//\nDELIMITER ;\nc; d", ["a; b", "c", "d"]),
        ("delimiter $$\nselect 1; end$$\ndelimiter ;", ["select 1; end"]),
        ("  delimiter GO\nselect 1 GO select 2 GO", ["select 1", "select 2"]),
        ("delimiter ;;\nselect ';;' /* ;; */ -- ;;\n;; x", ["select ';;' /* ;; */ -- ;;", "x"]),
        ("delimiter '//'\na//b", ["a", "b"]),
        # A forgotten end before the delimiter is changed back.
        ("delimiter //\na; end\ndelimiter ;\nb", ["a; end", "b"]),
        ("select a as delimiter from t", ["select a as delimiter from t"]),
        ("select 1; delimiter //\nselect 2//", ["select 1", "select 2"]),
        ("select 1\\G\nselect 2\\g select \\N", ["select 1", "select 2", "select \\N"]),
        ("use db\nselect 1", ["use db", "select 1"]),
        ("use db; select 1", ["use db", "select 1"]),
        # Before a statement any two dashes are a comment; in one they are not.
        ("--none;\nselect 5--1; x", ["--none;\nselect 5--1", "x"]),
        ("/*!40101 set a = ';' */; x", ["/*!40101 set a = ';' */", "x"]),
    ],
)
def test_what_mariadb_obeys(script: str, expected: list[str]) -> None:
    assert texts(script, MYSQL) == expected


@pytest.mark.parametrize(
    ("script", "several"),
    [
        ("delimiter //\nselect 1; select 2//", True),
        ("delimiter //\nselect 1;//", False),
        ("create procedure p() begin select 1; end", False),
    ],
)
def test_only_a_delimiter_hides_more_than_one_statement(script: str, several: bool) -> None:
    assert [statement.several for statement in split(script, MYSQL)] == [several]


def test_copy_is_given_the_lines_behind_it() -> None:
    script = (
        "copy t (a, b) from stdin; select 1;\nit's\t;\n\\.\ncopy t FROM STDIN with csv;\n"
        "x\r\n\\.\r\nselect 2;\nselect 'a"
    )
    with pytest.raises(PermanentTaskError, match="begins in line 8, column 8"):
        split(script, POSTGRESQL)
    found = split(f"{script}'", POSTGRESQL)
    assert [(s.text[:8], s.data, s.line) for s in found] == [
        ("copy t (", "it's\t;\n", 1),
        ("select 1", None, 1),
        ("copy t F", "x\r\n", 4),
        ("select 2", None, 7),
        ("select '", None, 8),
    ]


@pytest.mark.parametrize(
    "script",
    [
        "copy (select a from stdin) to stdout; x",
        "copy t from 'file'; x",
        "insert into t select 'copy t from stdin'; x",
    ],
)
def test_other_statements_have_no_data(script: str) -> None:
    assert [statement.data for statement in split(script, POSTGRESQL)] == [None, None]


def test_data_may_end_with_the_script() -> None:
    assert split("copy t from stdin;\n1\n\\.", POSTGRESQL)[0].data == "1\n"
    assert split("copy t from stdin;\n1\n", POSTGRESQL)[0].data == "1\n"


@pytest.mark.parametrize(
    "line",
    [
        "\\set ON_ERROR_STOP on",
        "\\set ON_ERROR_STOP",
        "\\set QUIET 1",
        "\\echo it's; \\n",
        "\\timing",
        "\\pset pager off",
        "\\restrict aBc123",
        "\\unrestrict aBc123",
        "\\encoding UTF8",
    ],
)
def test_commands_of_psql_that_change_nothing_are_passed_over(line: str) -> None:
    assert texts(f"{line}\nselect 1;\n{line}", POSTGRESQL) == ["select 1"]


@pytest.mark.parametrize("script", ["select 1 \\g\nselect 2", "select 1\n\\g  \r\nselect 2\\g"])
def test_psql_sends_what_is_before_g(script: str) -> None:
    assert texts(script, POSTGRESQL) == ["select 1", "select 2"]


@pytest.mark.parametrize(
    ("dialect", "script", "words"),
    [
        (
            POSTGRESQL,
            "select 1;\n\\g\n",
            r"line 2, column 1: \\g behind a statement that has ended",
        ),
        (POSTGRESQL, "select 1 \\g out.txt\n", r"\\g is a command of psql's, not SQL"),
        (POSTGRESQL, "select 1;\n  \\connect other", r"the SQL text, line 2, column 3: \\connect"),
        (POSTGRESQL, "\\i other.sql", r"\\i is a command of psql's, not SQL"),
        (POSTGRESQL, "\\set ON_ERROR_STOP off", r"\\set is a command of psql's"),
        (POSTGRESQL, "\\set AUTOCOMMIT off", r"\\set is a command"),
        (POSTGRESQL, "\\encoding latin1", r"\\encoding is a command"),
        (POSTGRESQL, "select 1 \\; select 2", r"\\; is a command"),
        (POSTGRESQL, "\\! rm -rf x", r"\\! is a command"),
        (
            MYSQL,
            "select 1;\nsource other.sql",
            r"line 2, column 1: source is a command of the mari",
        ),
        (MYSQL, "system rm x", "system is a command of the mariadb client's"),
        (MYSQL, "quit", "quit is a command"),
        (MYSQL, "select 1 \\! rm", r"\\! is a command"),
        (MYSQL, "delimiter", "DELIMITER wants what statements end with"),
        (MYSQL, "delimiter \\", "DELIMITER cannot have a backslash"),
        (
            sqlite.DIALECT,
            "select 1;\n.mode csv",
            r"line 2, column 1: \.mode is a command of sqlite3",
        ),
    ],
)
def test_other_commands_are_refused(dialect: Dialect, script: str, words: str) -> None:
    with pytest.raises(PermanentTaskError, match=words):
        split(script, dialect)


@pytest.mark.parametrize("script", ["status;", "help 'x';", "use;", "select .5;\nselect 1"])
def test_what_only_looks_like_a_command_is_sql(script: str) -> None:
    for dialect in (MYSQL, POSTGRESQL, sqlite.DIALECT, Dialect()):
        assert texts(script, dialect)[0] == script.split(";", maxsplit=1)[0]
