from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from taskrunner.data.databases.base import Row, Target
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.databases.sqlite import SqliteDatabase
from taskrunner.errors import TaskError
from taskrunner.host.local_files import LocalFiles

BYTES = b"\x00\xff\n,"


@pytest.fixture
def database(tmp_path: Path) -> SqliteDatabase:
    local = LocalFiles(folders=(tmp_path,))
    path = f"{tmp_path}/x.db"
    return SqliteDatabase(DatabaseSpec(id="Db", scheme="sqlite", database=path, local=local))


def run(database: SqliteDatabase, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(database.spec.database)
    try:
        with connection:
            return connection.execute(sql).fetchall()
    finally:
        connection.close()


def exported(database: SqliteDatabase, query: str) -> list[Row]:
    with database, database.stream(query) as result:
        return [row for batch in result.batches for row in batch]


@pytest.mark.parametrize("declared", ["BLOB", "blob", "BLOB(16)", "LONGBLOB"])
@pytest.mark.parametrize("columns", [(), ("N", "b")])
def test_bytes_that_were_exported_are_bytes_again(
    database: SqliteDatabase, declared: str, columns: tuple[str, ...]
) -> None:
    run(database, f"create table T (n integer, B {declared})")
    run(database, "insert into T values (1, x'00ff0a2c'), (2, null), (3, x'')")
    rows = exported(database, "select * from T order by n")
    assert rows[0] == ["1", "\\x00ff0a2c"]
    run(database, "delete from T")
    with SqliteDatabase(database.spec) as target:
        assert target.load(Target(table="t", columns=columns), [rows]) == 3
    assert run(database, "select n, b from T") == [(1, BYTES), (2, None), (3, b"")]


def test_an_insert_of_the_authors_gets_the_text(database: SqliteDatabase) -> None:
    run(database, "create table t (b blob)")
    target = Target(table="t", insert_query="insert into t values (?)")
    with database:
        database.load(target, [[["\\x00ff"]]])
    assert run(database, "select b from t") == [("\\x00ff",)]


def test_a_row_that_is_refused_is_told_with_its_table(database: SqliteDatabase) -> None:
    run(database, "create table t (n integer primary key)")
    with database, pytest.raises(TaskError) as caught:
        database.load(Target(table="t"), [[["1"], ["1"]]])
    assert str(caught.value).startswith("cannot insert rows: database 'Db' (/")
    assert str(caught.value).endswith(" (in rows 1 to 2 for table 't')")
