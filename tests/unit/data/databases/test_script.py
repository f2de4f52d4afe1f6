from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.data.databases import mysql, postgresql, sqlite
from taskrunner.data.databases.dialect import Dialect
from taskrunner.data.databases.script import parse_statement, split
from taskrunner.errors import PermanentTaskError

MYSQL, POSTGRESQL, SQLITE = mysql.DIALECT, postgresql.DIALECT, sqlite.DIALECT
#: The last one is that of a driver that says nothing of it.
ALL = [MYSQL, POSTGRESQL, SQLITE, Dialect()]

PROCEDURE = (
    "create procedure p() begin if 1 then select 1; end if; "
    "case 1 when 1 then select 2; end case; end"
)


def texts(script: str, dialect: Dialect) -> list[str]:
    return [statement.text for statement in split(script, dialect)]


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        (" ; ;; -- nothing\n /* at all */", []),
        ("select 1", ["select 1"]),
        ("select 1;\nselect 2;\n", ["select 1", "select 2"]),
        ("select ';';select 2", ["select ';'", "select 2"]),
        ("select 'it''s; so'; x", ["select 'it''s; so'", "x"]),
        ('select ";" from t; x', ['select ";" from t', "x"]),
        ("select 1 -- not; here\n; x", ["select 1 -- not; here", "x"]),
        ("select /* not; here */ 1; x", ["select /* not; here */ 1", "x"]),
        ("-- first\nselect 1", ["-- first\nselect 1"]),
        ("select case when 1 then 2 end; x", ["select case when 1 then 2 end", "x"]),
        (
            "begin; insert into t values (1); end; x",
            ["begin", "insert into t values (1)", "end", "x"],
        ),
        ("create table t (a int); x", ["create table t (a int)", "x"]),
    ],
)
def test_statements_end_at_semicolons(dialect: Dialect, script: str, expected: list[str]) -> None:
    assert texts(script, dialect) == expected


@pytest.mark.parametrize(
    ("dialect", "script", "expected"),
    [
        (MYSQL, r"select 'a\';b'; x", [r"select 'a\';b'", "x"]),
        (MYSQL, "select 1 # not; here\n; x", ["select 1 # not; here", "x"]),
        (MYSQL, "select `a;b`; x", ["select `a;b`", "x"]),
        (MYSQL, "select 5--1; x", ["select 5--1", "x"]),
        (MYSQL, "/*!40101 set names utf8 */;", ["/*!40101 set names utf8 */"]),
        (
            MYSQL,
            f"{PROCEDURE}; x",
            [PROCEDURE, "x"],
        ),
        (POSTGRESQL, r"select 'a\'; x", [r"select 'a\'", "x"]),
        (POSTGRESQL, r"select E'a\';b'; x", [r"select E'a\';b'", "x"]),
        (POSTGRESQL, "select $$a;b$$; x", ["select $$a;b$$", "x"]),
        (POSTGRESQL, "do $x$ begin; $$; end $x$; x", ["do $x$ begin; $$; end $x$", "x"]),
        (POSTGRESQL, "select /* a /* b; */ c; */ 1; x", ["select /* a /* b; */ c; */ 1", "x"]),
        (POSTGRESQL, "select $1; x", ["select $1", "x"]),
        (POSTGRESQL, "select a#>'{b;c}'; x", ["select a#>'{b;c}'", "x"]),
        (SQLITE, "select [a;b]; x", ["select [a;b]", "x"]),
        (
            SQLITE,
            "create trigger r after insert on t begin update t set a = 1; end; x",
            ["create trigger r after insert on t begin update t set a = 1; end", "x"],
        ),
    ],
)
def test_each_dialect_has_its_own_quotes(
    dialect: Dialect, script: str, expected: list[str]
) -> None:
    assert texts(script, dialect) == expected


def test_placeholders_are_outside_quotes_and_comments() -> None:
    [statement] = split("select '?', ? -- ?\n, /* ? */ ?, a ?? 'b', 100%", POSTGRESQL)
    assert statement.placeholders == 2
    assert statement.with_markers("%s", percent="%%") == (
        "select '?', %s -- ?\n, /* ? */ %s, a ? 'b', 100%%"
    )
    assert statement.text == "select '?', ? -- ?\n, /* ? */ ?, a ?? 'b', 100%"


def test_statements_know_where_they_begin_and_what_they_do() -> None:
    first, second = split("\n-- why\nselect\n1;\n\n  Insert into t values (1)", MYSQL)
    assert (first.line, first.verb) == (3, "SELECT")
    assert (second.line, second.verb) == (6, "INSERT")


@pytest.mark.parametrize("query", ["insert into t values (?, ?)", "insert into t values (%s, %s);"])
def test_an_insert_may_have_placeholders_of_both_kinds(query: str) -> None:
    statement = parse_statement(query, MYSQL, percent_s=True)
    assert statement.with_markers("%s", percent="%%") == "insert into t values (%s, %s)"


def test_one_statement_is_one() -> None:
    with pytest.raises(PermanentTaskError, match="found 2 SQL statements, wanted one"):
        parse_statement("select 1; select 2", MYSQL)


@pytest.mark.parametrize("script", ["select 'a", 'x;\nselect "a', "select 1 /* a"])
@pytest.mark.parametrize("dialect", [MYSQL, POSTGRESQL])
def test_what_never_ends_is_refused_with_its_line(script: str, dialect: Dialect) -> None:
    line = script.count("\n") + 1
    with pytest.raises(PermanentTaskError, match=f"begins in line {line}"):
        split(script, dialect)


@given(st.text(st.sampled_from("ab 1';\"`/*-#$?%\\\n[]"), max_size=40), st.sampled_from(ALL))
def test_no_text_hangs_or_loses_characters(script: str, dialect: Dialect) -> None:
    try:
        found = split(script, dialect)
    except PermanentTaskError:
        return
    position = 0
    for statement in found:
        position = script.index(statement.text, position) + len(statement.text)


@pytest.mark.parametrize(("query", "kind"), [("select 1", "SELECT"), ("hunter2 x", "statement")])
def test_only_a_verb_of_sql_is_told(query: str, kind: str) -> None:
    assert parse_statement(query, Dialect()).kind == kind
