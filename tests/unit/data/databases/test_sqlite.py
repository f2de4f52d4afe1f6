from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from taskrunner.data.databases.base import Row, Target
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.databases.sqlite import SqliteDatabase
from taskrunner.data.fitting.columns import LossyValueError
from taskrunner.data.fitting.rules import OnLossyValue
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


def test_an_expression_of_the_authors_gets_the_text_and_a_column_its_value(
    database: SqliteDatabase,
) -> None:
    run(database, "create table t (a blob, b blob)")
    target = Target(table="t", insert_query="insert into t values (?, lower(?))")
    with database:
        database.load(target, [[["\\x00ff", "\\x00ff"]]])
    assert run(database, "select a, b from t") == [(b"\x00\xff", "\\x00ff")]


def test_a_row_that_is_refused_is_told_with_its_table(database: SqliteDatabase) -> None:
    run(database, "create table t (n integer primary key)")
    with database, pytest.raises(TaskError) as caught:
        database.load(Target(table="t"), [[["1"], ["1"]]])
    assert str(caught.value).startswith("cannot insert rows: database 'Db' (/")
    assert str(caught.value).endswith(" (in row 2 for table 't')")


VALUES = (
    "1e999", "-1e999", "x'00ff'", "x''", "'text'", "''", "'\\x00ff'", "'Infinity'", "'NaN'", "5",
    "9223372036854775807", "9007199254740993", "0.1", "5.0", "'0123'", "null",
)  # fmt: skip
TYPES = ("integer", "real", "text", "blob", "decimal(5,2)", "date", "")


def test_between_two_files_every_value_keeps_its_type(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    """Whatever is in whichever column: infinite numbers, blobs and texts anywhere."""
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(TYPES))
    for table in ("t", "copied"):
        run(database, f"create table {table} (n integer primary key, {columns})")
    for number, value in enumerate(VALUES):
        if value != "'\\x00ff'":
            run(database, f"insert into t values ({number}, {', '.join([value] * len(TYPES))})")
    rows = exported(database, "select * from t order by n")
    with SqliteDatabase(database.spec) as target:
        target.load(Target(table="copied"), [rows])
    shown = "".join(f", c{number}, typeof(c{number})" for number in range(len(TYPES)))
    query = "select n" + shown + " from {} order by n"
    assert run(database, query.format("copied")) == run(database, query.format("t"))


def test_a_text_that_reads_like_a_blob_stays_a_text(database: SqliteDatabase) -> None:
    run(database, "create table t (b blob)")
    run(database, "insert into t values ('\\x00ff'), ('other')")
    rows = exported(database, "select * from t")
    with SqliteDatabase(database.spec) as target:
        target.load(Target(table="t"), [rows])
    assert run(database, "select distinct b from t") == [("\\x00ff",), ("other",)]


@pytest.mark.parametrize("values", ["x'00', '\\x41'", "'\\x41', x'00'"])
def test_blobs_and_texts_that_read_like_them_are_not_mixed_up(
    database: SqliteDatabase, values: str
) -> None:
    first, second = values.split(", ")
    run(database, "create table t (n integer, b)")
    run(database, f"insert into t values (1, 'plain'), (2, {first}), (3, {second})")
    with pytest.raises(TaskError, match="row 3, column 'b': it has blobs, and texts"):
        exported(database, "select * from t order by n")


def test_texts_of_a_file_become_what_the_column_is_for(database: SqliteDatabase) -> None:
    run(database, "create table t (i integer, r real, b blob, d date, s string)")
    rows: list[Row] = [
        ["9223372036854775807", "Infinity", "\\x00ff", "2026-02-13", "012a"],
        ["1.5", "-Infinity", "plain", "20260213", "12"],
        ["1e3", "0.1", "", "", ""],
    ]
    with database:
        database.load(Target(table="t"), [rows])
    assert run(database, "select * from t") == [
        (9223372036854775807, float("inf"), b"\x00\xff", "2026-02-13", "012a"),
        (1.5, float("-inf"), "plain", 20260213, 12),
        (1000, 0.1, "", "", ""),
    ]


@pytest.mark.parametrize(
    ("declared", "text", "stored"),
    [
        ("integer", "9223372036854775808", 9.223372036854775808e18),
        ("decimal(5,2)", "0.1234567890123456789", 0.12345678901234568),
        ("real", "9007199254740993", 9007199254740992.0),
        ("string", "0123", 123),
        ("date", "1e5", 100000.0),
    ],
)
def test_what_a_column_does_not_keep(
    database: SqliteDatabase, declared: str, text: str, stored: float
) -> None:
    run(database, f"create table t (n integer, v {declared})")
    rows: list[Row] = [["1", None], ["2", text]]
    if text != "9223372036854775808":  # a power of two, which a double is
        with SqliteDatabase(database.spec) as target, pytest.raises(LossyValueError, match="row 2"):
            target.load(Target(table="t"), [rows])
    with database:
        database.load(Target(table="t", on_lossy_value=OnLossyValue.ROUND), [rows])
    assert run(database, "select v from t where n = 2") == [(stored,)]


def test_nan_is_no_number_that_it_has(database: SqliteDatabase) -> None:
    run(database, "create table t (v real)")
    with database, pytest.raises(LossyValueError, match="no number that SQLite has"):
        database.load(Target(table="t"), [[["NaN"]]])


def test_a_generated_column_is_left_out_or_named(database: SqliteDatabase) -> None:
    run(database, "create table t (a integer, twice integer as (a * 2), b integer)")
    with SqliteDatabase(database.spec) as target:
        target.load(Target(table="t"), [[["1", "9"]]])
    assert run(database, "select * from t") == [(1, 2, 9)]
    with database, pytest.raises(TaskError, match="makes twice itself"):
        database.load(Target(table="t"), [[["1", "2", "9"]]])
