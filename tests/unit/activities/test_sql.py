from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from taskrunner.activities.sql import SqlActivity
from taskrunner.data.settings import DataSettings
from taskrunner.errors import Canceled, ErrorId, PermanentTaskError, TaskError
from taskrunner.host.local_files import LocalFiles
from taskrunner.model.document import PipelineObject, Ref, Value
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object, new_task


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[ActivityEnvironment]:
    data = DataSettings(s3_root=tmp_path / "s3", local=LocalFiles(folders=(tmp_path,)))
    with ActivityEnvironment(data=data) as environment:
        yield environment


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


def run(
    environment: ActivityEnvironment,
    path: Path,
    fields: dict[str, Value | list[Value]],
    *others: PipelineObject,
) -> None:
    database = new_object("Db", "JdbcDatabase", {"connectionString": f"jdbc:sqlite:{path}"})
    fields = {"database": Ref("Db"), **fields}
    environment.run(SqlActivity(), new_task("SqlActivity", fields, database, *others))


def select(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_a_script_runs_whole(environment: ActivityEnvironment, path: Path) -> None:
    script = "create table t (a integer, b text);\ninsert into t values (1, 'x;y');"
    run(environment, path, {"script": script})
    assert select(path, "select * from t") == [(1, "x;y")]
    assert environment.progress_reports == [
        {"statements": 1, "percent": 50},
        {"statements": 2, "percent": 100},
    ]
    assert environment.messages[-1] == "Statement 2 (INSERT, line 2) done, 1 rows"


def test_a_script_from_an_object_with_arguments(
    environment: ActivityEnvironment, path: Path
) -> None:
    script = "create table t (a integer, b text); insert into t values (?, ?);"
    with environment.objects.open_write("s3://bucket/script.sql") as writer:
        writer.write(b"\xef\xbb\xbf" + script.encode())
    fields: dict[str, Value | list[Value]] = {
        "scriptUri": "s3://bucket/script.sql",
        "scriptArgument": ["7", "2026-01-01 00:00:00"],
    }
    run(environment, path, fields)
    assert select(path, "select * from t") == [(7, "2026-01-01 00:00:00")]


def test_the_outputs_table_is_made_first(environment: ActivityEnvironment, path: Path) -> None:
    output = new_object(
        "Out",
        "SqlDataNode",
        {"table": "t", "database": Ref("Db"), "createTableSql": "create table t (a integer)"},
    )
    for _ in range(2):
        fields: dict[str, Value | list[Value]] = {
            "script": "insert into t values (1)",
            "output": Ref("Out"),
        }
        run(environment, path, fields, output)
    assert select(path, "select * from t") == [(1,), (1,)]


def test_a_failure_undoes_the_script(environment: ActivityEnvironment, path: Path) -> None:
    run(environment, path, {"script": "create table t (a integer)"})
    script = "insert into t values (1);\ninsert into none values (1)"
    with pytest.raises(TaskError, match=r"INSERT in line 2.*'Db'.*no such table: none") as caught:
        run(environment, path, {"script": script})
    assert caught.value.error_id == ErrorId.ACTIVITY_FAILED
    assert select(path, "select * from t") == []


def test_a_cancellation_undoes_the_script(environment: ActivityEnvironment, path: Path) -> None:
    run(environment, path, {"script": "create table t (a integer)"})
    environment.cancel()
    with pytest.raises(Canceled):
        run(environment, path, {"script": "insert into t values (1); insert into t values (2)"})
    assert select(path, "select * from t") == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "either script or scriptUri"),
        ({"script": "select 1", "scriptUri": "s3://b/k"}, "either script or scriptUri"),
        ({"script": " -- nothing\n;"}, "holds no statement"),
        ({"script": "select ?", "scriptArgument": ["1", "2"]}, "1 placeholders"),
        ({"script": "select 'a"}, "line 1"),
    ],
)
def test_unusable_scripts_are_refused(
    environment: ActivityEnvironment,
    path: Path,
    fields: dict[str, Value | list[Value]],
    words: str,
) -> None:
    with pytest.raises(PermanentTaskError, match=words):
        run(environment, path, fields)
    assert not path.exists()


def test_a_script_that_is_not_there_or_not_text(
    environment: ActivityEnvironment, path: Path
) -> None:
    with pytest.raises(TaskError, match="s3://bucket/none") as caught:
        run(environment, path, {"scriptUri": "s3://bucket/none"})
    assert caught.value.error_id == ErrorId.NOT_FOUND
    with environment.objects.open_write("s3://bucket/binary") as writer:
        writer.write(b"\xff\xfe")
    with pytest.raises(PermanentTaskError, match="not UTF-8"):
        run(environment, path, {"scriptUri": "s3://bucket/binary"})


def test_a_queue_means_nothing_where_there_is_none(
    environment: ActivityEnvironment, path: Path
) -> None:
    run(environment, path, {"script": "select 1", "queue": "etl"})
    assert any("No queue is set" in message for message in environment.messages)
