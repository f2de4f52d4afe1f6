"""Scripts as SQL*Plus and sqlcmd read them: what one statement is, and whose lines are not SQL."""

from __future__ import annotations

import pytest

from taskrunner.data.databases.oracle import DIALECT as ORACLE
from taskrunner.data.databases.script import Statement, split
from taskrunner.data.databases.script_transactions import Role, commits_first, role_of
from taskrunner.data.databases.sqlserver import DIALECT as SQLSERVER
from taskrunner.errors import PermanentTaskError


def oracle(script: str) -> list[str]:
    return [statement.text for statement in split(script, ORACLE)]


def sqlserver(script: str) -> list[str]:
    return [statement.text for statement in split(script, SQLSERVER)]


BEFORE = "SET ECHO OFF\nWHENEVER SQLERROR EXIT FAILURE\nPROMPT it's; begun\nREM x;\n"
PACKAGE = "create or replace editionable package body p as procedure q is begin null; end; end;"
BLOCK = "BEGIN\n  IF 1 = 2 THEN NULL; END IF;\n  x := 4\n / 2;\nEND;"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("insert into t values (1); delete from u;", ["insert into t values (1)", "delete from u"]),
        (f"{BLOCK}\n/\nselect 1 from dual;", [BLOCK, "select 1 from dual"]),
        (f"{BLOCK}\n  /  \r\ncommit;", [BLOCK, "commit"]),
        (BLOCK, [BLOCK]),
        ("DECLARE x INT; BEGIN NULL; END;\n/", ["DECLARE x INT; BEGIN NULL; END;"]),
        (f"{PACKAGE}\n/\nselect 1 from dual\n/\n", [PACKAGE, "select 1 from dual"]),
        ("create table function_x (a int); drop table t;", None),
        ("create type body t as member; end;\n/", ["create type body t as member; end;"]),
        ("select q'[it's; /]', 'a;b', nq'{x;}' from t;", None),
        ("select 'x' -- a;\n, 1 from t; /* ; */ commit;", None),
        (f"{BEFORE}update t set a = 1;\nSHOW ERRORS\nEXIT\n", ["update t set a = 1"]),
        ("set transaction read only; SET ROLE r;", ["set transaction read only", "SET ROLE r"]),
    ],
)
def test_statements_of_sql_plus(script: str, expected: list[str] | None) -> None:
    found = oracle(script)
    if expected is None:
        assert len(found) == 1 + script.count("; d") + script.count("*/ c")
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("insert into t values (1);\n/\n", "would run it again"),
        ("spool /tmp/x\nselect 1;", "spool is a command of SQL\\*Plus's"),
        ("@other.sql", "@ is a command"),
        ("exec p(1)", "exec is a command"),
        ("connect a/b", "connect is a command"),
        ("EXIT\nselect 1;", "EXIT is a command"),
        ("select 'x", "ends inside"),
    ],
)
def test_what_sql_plus_would_do_and_is_not_done(script: str, words: str) -> None:
    with pytest.raises(PermanentTaskError, match=words):
        oracle(script)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("select 1; select 2\nGO\nselect 3", ["select 1; select 2", "select 3"]),
        (
            "create proc p as select 1;\ngo -- x\n  GO\nexec p\nGo",
            ["create proc p as select 1;", "exec p"],
        ),
        ("select 'a\nGO\nb', [x\nGO\n]", ["select 'a\nGO\nb', [x\nGO\n]"]),
        ("select 1 as go\ngo 1\nselect GOAL", ["select 1 as go", "select GOAL"]),
        ("/* GO\nGO\n/* */ */ select 1", ["/* GO\nGO\n/* */ */ select 1"]),
    ],
)
def test_batches_of_sqlcmd(script: str, expected: list[str]) -> None:
    assert sqlserver(script) == expected


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("select 1\nGO 5\n", "GO 5 would run its batch several times"),
        (":r other.sql\nGO", "a command of sqlcmd's"),
        ("select 1\nGO\n!! dir\nGO", "a command of sqlcmd's"),
    ],
)
def test_what_sqlcmd_would_do_and_is_not_done(script: str, words: str) -> None:
    with pytest.raises(PermanentTaskError, match=words):
        sqlserver(script)


def test_placeholders_are_found_in_batches_and_blocks() -> None:
    (batch,) = split("insert into t values (?, '?'); delete from t where a = ?", SQLSERVER)
    (block,) = split("BEGIN p(?); q(?); END;\n/", ORACLE)
    assert (batch.placeholders, block.placeholders) == (2, 2)


def one(script: str, *, of_oracle: bool) -> Statement:
    (found,) = split(script, ORACLE if of_oracle else SQLSERVER)
    return found


@pytest.mark.parametrize(
    ("script", "of_oracle", "role", "commits"),
    [
        ("create table t (a int)", True, Role.PLAIN, True),
        ("alter session set x = 1", True, Role.PLAIN, False),
        ("insert into t values (1)", True, Role.PLAIN, False),
        ("commit", True, Role.CONTROL, False),
        ("rollback to savepoint x", True, Role.PLAIN, False),
        ("begin p; commit; end;", True, Role.PLAIN, False),
        ("create table t (a int)", False, Role.PLAIN, False),
        ("select 1; begin tran; select 2", False, Role.CONTROL, False),
        ("begin select 1 end", False, Role.PLAIN, False),
        ("create database d", False, Role.ALONE, False),
    ],
)
def test_what_statements_have_to_do_with_transactions(
    script: str, of_oracle: bool, role: Role, commits: bool
) -> None:
    found = one(script, of_oracle=of_oracle)
    family = (ORACLE if of_oracle else SQLSERVER).family
    assert (role_of(found, family), commits_first(found, family)) == (role, commits)
