from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from taskrunner.activities.base import Precondition
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.settings import DataSettings
from taskrunner.errors import PermanentTaskError, TaskError
from taskrunner.host.local_files import LocalFiles
from taskrunner.model.document import PipelineObject, Ref, Value
from taskrunner.preconditions.exists import Exists
from taskrunner.preconditions.s3_key_exists import S3KeyExists
from taskrunner.preconditions.s3_prefix_not_empty import S3PrefixNotEmpty
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object, new_task


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[ActivityEnvironment]:
    data = DataSettings(s3_root=tmp_path / "s3", local=LocalFiles(folders=(tmp_path,)))
    with ActivityEnvironment(data=data) as environment:
        with environment.objects.open_write("s3://bucket/folder/key") as writer:
            writer.write(b"")
        yield environment


def check(
    environment: ActivityEnvironment,
    precondition: Precondition,
    fields: dict[str, Value],
    *others: PipelineObject,
) -> bool:
    return environment.check(precondition, new_task(precondition.type, fields, *others))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("s3://bucket/folder/key", True),
        ("s3://bucket/folder", False),
        ("s3://bucket/folder/ke", False),
        ("s3://bucket/none", False),
        ("s3://none/key", False),
    ],
)
def test_s3_key_exists(environment: ActivityEnvironment, key: str, expected: bool) -> None:
    assert check(environment, S3KeyExists(), {"s3Key": key}) is expected


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("s3://bucket", True),
        ("s3://bucket/folder/", True),
        ("s3://bucket/fol", True),
        ("s3://bucket/other", False),
        ("s3://none/", False),
    ],
)
def test_s3_prefix_not_empty(environment: ActivityEnvironment, prefix: str, expected: bool) -> None:
    assert check(environment, S3PrefixNotEmpty(), {"s3Prefix": prefix}) is expected


@pytest.mark.parametrize("precondition", [S3KeyExists(), S3PrefixNotEmpty()])
def test_a_missing_field_is_named(
    environment: ActivityEnvironment, precondition: Precondition
) -> None:
    with pytest.raises(PermanentTaskError, match="no value for the field 's3"):
        check(environment, precondition, {})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"filePath": "s3://bucket/folder/key"}, True),
        ({"filePath": "s3://bucket/folder/none"}, False),
        ({"directoryPath": "s3://bucket/folder"}, True),
        ({"directoryPath": "s3://bucket/fold"}, False),
    ],
)
def test_files_exist(
    environment: ActivityEnvironment, fields: dict[str, Value], expected: bool
) -> None:
    node = new_object("Node", "S3DataNode", fields)
    assert check(environment, Exists(), {"node": Ref("Node")}, node) is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"table": "t"}, True),
        ({"table": "none"}, False),
        ({"table": "t", "selectQuery": "select * from t"}, True),
        ({"table": "t", "selectQuery": "select * from t where a > 5"}, False),
    ],
)
def test_tables_and_rows_exist(
    environment: ActivityEnvironment, tmp_path: Path, fields: dict[str, Value], expected: bool
) -> None:
    path = tmp_path / "db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("create table t (a integer); insert into t values (1)")
    database = new_object("Db", "JdbcDatabase", {"connectionString": f"jdbc:sqlite:{path}"})
    node = new_object("Node", "SqlDataNode", {**fields, "database": Ref("Db")})
    assert check(environment, Exists(), {"node": Ref("Node")}, node, database) is expected


def test_what_cannot_be_asked_is_an_error(environment: ActivityEnvironment, tmp_path: Path) -> None:
    with pytest.raises(PermanentTaskError, match="not the precondition of a data node"):
        check(environment, Exists(), {})
    text = f"jdbc:sqlite:{tmp_path}/no/folder/db"
    database = new_object("Db", "JdbcDatabase", {"connectionString": text})
    node = new_object("Node", "SqlDataNode", {"table": "t", "database": Ref("Db")})
    with pytest.raises(TaskError, match="no folder"):
        check(environment, Exists(), {"node": Ref("Node")}, node, database)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (S3KeyExists, {"s3Key": "s3://bucket/folder/key"}),
        (S3PrefixNotEmpty, {"s3Prefix": "s3://bucket/folder/"}),
    ],
)
@pytest.mark.parametrize(
    ("role", "assumed"), [("arn:aws:iam::1:role/r", ["arn:aws:iam::1:role/r"]), ("Name", [])]
)
def test_a_role_with_an_arn_looks_into_s3(
    environment: ActivityEnvironment,
    kind: type[S3KeyExists | S3PrefixNotEmpty],
    fields: dict[str, str],
    role: str,
    assumed: list[str],
) -> None:
    opened: list[str | None] = []

    def open_as(settings: DataSettings) -> ObjectStore:
        opened.append(settings.role)
        return environment.objects

    # Folders know no roles: here it is S3 itself that is looked into.
    data = replace(environment.data, s3_root=None, s3_endpoint="http://127.0.0.1:1")
    with ActivityEnvironment(objects=environment.objects, data=data) as real:
        task = new_task(kind.type, {**fields, "role": role})
        assert real.check(kind(open_as), task)
    assert opened == assumed
    assert environment.check(kind(open_as), task)
    assert opened == assumed
