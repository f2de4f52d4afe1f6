from __future__ import annotations

import pytest

from taskrunner.data.databases import mysql_dialect, postgresql_dialect, sqlite
from taskrunner.data.databases.dialect import Dialect, Family
from taskrunner.data.databases.script import parse_statement
from taskrunner.data.databases.script_transactions import Role, commits_first, role_of

DIALECTS = {
    Family.POSTGRESQL: postgresql_dialect.STANDARD,
    Family.REDSHIFT: postgresql_dialect.REDSHIFT,
    Family.MYSQL: mysql_dialect.dialect_of(()),
    Family.SQLITE: sqlite.DIALECT,
    Family.OTHER: Dialect(),
}
STATEMENTS = {
    (Family.POSTGRESQL, Role.ALONE): [
        "vacuum",
        "VACUUM (analyze) t",
        "create database d",
        "drop database if exists d with (force)",
        "create tablespace s location '/x'",
        "alter database d set tablespace s",
        "alter system set work_mem = '1MB'",
        "create index concurrently i on t (a)",
        "create unique /* why */ index -- not\n concurrently i on t (a)",
        "drop index concurrently if exists i",
        "reindex table concurrently t",
        "reindex (verbose, concurrently) index i",
        "reindex schema s",
        "reindex (verbose) database d",
        "cluster",
        "cluster verbose",
        "alter table t detach partition p concurrently",
        "alter type mood add value 'meh'",
        "alter type \"my mood\" add value if not exists $$meh$$ before 'x'",
        "commit prepared 'x'",
        "discard all",
    ],
    (Family.POSTGRESQL, Role.PERHAPS): [
        "call p(1)",
        "do $$ begin commit; end $$",
        "reindex table t",
        "cluster t using i",
        "create subscription s connection 'x' publication p",
    ],
    (Family.POSTGRESQL, Role.CONTROL): [
        "begin",
        "begin isolation level serializable",
        "start transaction",
        "commit",
        "commit and chain",
        "end",
        "rollback",
        "abort",
        "prepare transaction 'x'",
    ],
    (Family.POSTGRESQL, Role.PLAIN): [
        "savepoint s",
        "rollback to s",
        "rollback work to savepoint s",
        "release s",
        "create index i on t (a)",
        "refresh materialized view concurrently v",
        "alter type mood rename value 'a' to 'b'",
        "set transaction isolation level serializable",
        "create table beginning (a int)",
        "select 'vacuum'",
        "prepare q as select 1",
        "drop index i",
    ],
    (Family.REDSHIFT, Role.ALONE): [
        "vacuum t",
        "create external table s.t (a int) stored as parquet location 's3://b/'",
        "alter table t append from u",
        "alter table t alter column a type varchar(9)",
        "alter table s.t add if not exists partition (d = 1) location 's3://b/'",
    ],
    (Family.REDSHIFT, Role.PLAIN): ["call p()", "alter table t add column a int"],
    (Family.MYSQL, Role.CONTROL): [
        "begin",
        "start transaction with consistent snapshot",
        "commit",
        "rollback",
        "set autocommit = 0",
        "set session autocommit=1",
        "SET @@autocommit = 0",
        "set @@session.autocommit = 0",
        "/*!40000 SET unique_checks=0, autocommit=0 */",
        "xa start 'x'",
    ],
    (Family.MYSQL, Role.ALONE): ["set transaction isolation level serializable"],
    (Family.MYSQL, Role.PLAIN): [
        "begin not atomic select 1; end",
        "rollback to savepoint s",
        "set session transaction isolation level serializable",
        "start slave",
        "call p()",
        "set @a = 1",
    ],
    (Family.SQLITE, Role.CONTROL): ["begin immediate", "end", "savepoint s"],
    (Family.SQLITE, Role.ALONE): [
        "vacuum into 'x'",
        "attach 'x' as y",
        "pragma foreign_keys = on",
        "pragma main.journal_mode = wal",
    ],
    (Family.SQLITE, Role.PLAIN): ["pragma user_version = 1", "rollback to s", "release s"],
    (Family.OTHER, Role.ALONE): ["vacuum"],
    (Family.OTHER, Role.PLAIN): ["begin"],
}


@pytest.mark.parametrize(
    ("family", "role", "sql"),
    [(family, role, sql) for (family, role), given in STATEMENTS.items() for sql in given],
)
def test_what_a_statement_has_to_do_with_transactions(family: Family, role: Role, sql: str) -> None:
    assert role_of(parse_statement(sql, DIALECTS[family]), family) is role


@pytest.mark.parametrize(
    ("sql", "commits"),
    [
        ("create table t (a int)", True),
        ("/*!40000 ALTER TABLE t DISABLE KEYS */", True),
        ("truncate t", True),
        ("lock tables t write", True),
        ("begin", True),
        ("create temporary table t (a int)", False),
        ("insert into t values (1)", False),
    ],
)
def test_mysql_commits_before_what_changes_tables(sql: str, commits: bool) -> None:
    statement = parse_statement(sql, DIALECTS[Family.MYSQL])
    assert commits_first(statement, Family.MYSQL) is commits
    assert not commits_first(statement, Family.POSTGRESQL)
