from __future__ import annotations

import pytest

from taskrunner.data.databases import mysql_dialect, postgresql_dialect, sqlite
from taskrunner.data.databases.script import split

MYSQL = mysql_dialect.dialect_of(())

IF = "if new.ref is null then set new.ref = concat('P', new.id); end if"
WHOLE = [
    # A body that is one block, without BEGIN.
    f"create trigger t before insert on p for each row {IF}",
    f"create trigger if not exists t before insert on p for each row follows other {IF}",
    f"create or replace definer = `me`@`%` procedure if not exists p(a int) {IF}",
    f"create function f(a enum('x', ')')) returns int deterministic {IF.replace('set', 'do')}",
    f"create event e on schedule every 1 day do {IF}",
    (
        f"/*!50003 CREATE*/ /*!50017 DEFINER=`me`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON p "
        f"FOR EACH ROW {IF} */"
    ),
    (
        "create trigger t before insert on p for each row case new.a when 1 then set new.a = 2; "
        "else begin end; end case"
    ),
    "create procedure p() l: loop leave l; end loop l",
    "create procedure p() while 0 do select 1; end while",
    "create procedure p() repeat select 1; until 1 end repeat",
    "create procedure p() for i in 1..3 do select i; end for",
    # Blocks within blocks, and what looks like one and is none.
    "create procedure p() begin declare continue handler for sqlexception begin end; select 1; end",
    "create procedure p() begin if exists (select 1) then select if(1, 2, 3); end if; end",
    "create procedure p() begin drop table if exists t; select repeat('x', 2), t.end from t; end",
    "create procedure p() begin select 1 as end, 2 as begin; set @a = case when 1 then 2 end; end",
    "create procedure p() begin xa end 'x'; select 1; end",
    "create procedure p() begin while 1 do do sleep(1); end while; do repeat('x', 1); end",
    "create procedure p() outer_one: begin if 1 then leave outer_one; end if; end",
    "create procedure p() begin update t set a = case b when 1 then if(1, 2, 3) end; end",
    # MariaDB's blocks outside of programs.
    "begin not atomic select 1; select 2; end",
    "if 1 then select 1; end if",
    # A body that is one statement.
    "create trigger t before insert on p for each row set new.a = if(1, case 1 when 1 then 2 end)",
    "create function f(a int) returns text character set utf8mb4 return repeat('x', 2)",
    "create procedure p() insert into t values (1)",
    "create function f returns string soname 'x.so'",
    # What has none.
    "create table if not exists t (begin int, event int)",
    "create view v as select 1 as begin",
    "begin",
    "begin work",
]


@pytest.mark.parametrize("statement", WHOLE)
def test_bodies_of_mysql_need_no_delimiter(statement: str) -> None:
    found = split(f"{statement};\nselect 'next'", MYSQL)
    assert [each.text for each in found] == [statement, "select 'next'"]


@pytest.mark.parametrize(
    "statement",
    [
        "create function f() returns int begin atomic select 1; select case when a then 1 end; end",
        "create or replace procedure p() begin atomic insert into t values (1); end",
        "create rule r as on insert to t do also (insert into a values (1); delete from b)",
        "create function f(begin int) returns int return 1",
        "create table t (a int default 1)",
        "select 1 as begin",
        "create function f() returns int language sql as $$ select 1; $$",
    ],
)
def test_bodies_of_postgresql_are_counted_as_psql_does(statement: str) -> None:
    found = split(f"{statement};\nselect 'next'", postgresql_dialect.STANDARD)
    assert [each.text for each in found] == [statement, "select 'next'"]


@pytest.mark.parametrize(
    "statement",
    [
        "create trigger r after insert on t begin update t set a = case when 1 then 2 end; end",
        "create temp trigger r after insert on t begin select 1 as end; delete from t; end",
        "create table t (a, trigger)",
    ],
)
def test_triggers_of_sqlite_end_behind_a_semicolon_and_end(statement: str) -> None:
    found = split(f"{statement};\nselect 'next'", sqlite.DIALECT)
    assert [each.text for each in found] == [statement, "select 'next'"]
