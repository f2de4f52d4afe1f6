from __future__ import annotations

import pytest

from taskrunner.data.formats.compression import Compression
from taskrunner.data.nodes import FileNode, TableNode, node_of
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.document import PipelineObject, Ref, Value
from taskrunner.testing.activity_environment import new_object, new_task

DATABASE = new_object("Db", "JdbcDatabase", {"connectionString": "jdbc:sqlite:/db"})


def read(
    object_type: str, fields: dict[str, Value], *others: PipelineObject
) -> FileNode | TableNode:
    node = new_object("Node", object_type, fields)
    task = new_task("CopyActivity", {}, node, DATABASE, *others)
    return node_of(task.object("Node"))


def files(**fields: Value) -> FileNode:
    node = read("S3DataNode", fields, FORMAT)
    assert isinstance(node, FileNode)
    return node


FORMAT = new_object("Format", "TSV")


def test_files_and_directories() -> None:
    node = files(filePath="s3://b/k")
    assert (node.uri, node.is_directory, node.encrypt) == ("s3://b/k", False, None)
    assert node.compression is Compression.NONE
    assert node.format.extension == ".csv"
    for path in ("s3://b/d", "s3://b/d/", "s3://b/d//"):
        node = files(directoryPath=path, dataFormat=Ref("Format"), compression="GZIP")
        assert (node.uri, node.is_directory) == ("s3://b/d/", True)
        assert node.compression is Compression.GZIP
        assert node.format.extension == ".tsv"


@pytest.mark.parametrize(
    ("value", "encrypt"), [("SERVER_SIDE_ENCRYPTION", True), ("NONE", False), ("none", False)]
)
def test_encryption(value: str, encrypt: bool) -> None:
    assert files(filePath="s3://b/k", s3EncryptionType=value).encrypt is encrypt


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"filePath": "s3://b/k", "directoryPath": "s3://b/"},
        {"filePath": "s3://b/d/"},
        {"filePath": "s3://b/k", "compression": "zip"},
        {"filePath": "s3://b/k", "s3EncryptionType": "AES"},
    ],
)
def test_unusable_files_are_refused(fields: dict[str, Value]) -> None:
    with pytest.raises(PermanentTaskError, match="S3DataNode 'Node'") as caught:
        read("S3DataNode", fields)
    assert caught.value.error_id == ErrorId.INVALID_FIELD


def test_the_same_bytes_need_the_same_format_and_compression() -> None:
    plain = files(filePath="s3://b/k")
    tabs = files(filePath="s3://b/k", dataFormat=Ref("Format"))
    packed = files(filePath="s3://b/k", compression="gzip")
    zstd = files(filePath="s3://b/k", compression="zstd")
    assert plain.has_same_bytes_as(files(directoryPath="s3://b/d"))
    assert not plain.has_same_bytes_as(tabs)
    assert not plain.has_same_bytes_as(packed)
    assert not packed.has_same_bytes_as(zstd)


def test_tables_and_queries() -> None:
    node = read("SqlDataNode", {"database": Ref("Db"), "table": "t", "schemaName": "s"})
    assert isinstance(node, TableNode)
    assert (node.table, node.schema, node.select_query) == ("t", "s", None)
    assert node.database.id == "Db"
    node = read("SqlDataNode", {"database": "Db", "selectQuery": "select 1"})
    assert isinstance(node, TableNode)
    assert node.select_query == "select 1"


def test_an_old_node_may_be_its_own_database() -> None:
    node = read("MySqlDataNode", {"table": "t", "connectionString": "jdbc:mysql://h/d"})
    assert isinstance(node, TableNode)
    assert node.database.id == "Node"


@pytest.mark.parametrize(
    ("object_type", "fields", "words"),
    [
        ("SqlDataNode", {"database": Ref("Db")}, "'table'"),
        ("RedshiftDataNode", {"database": Ref("Db"), "table": "t"}, "'tableName'"),
        ("SqlDataNode", {"table": "t"}, "wanted a database"),
        ("SqlDataNode", {"table": "t", "database": Ref("None")}, "'None'"),
        ("DynamoDBDataNode", {"tableName": "t"}, "cannot be used here"),
    ],
)
def test_unusable_nodes_are_refused(object_type: str, fields: dict[str, Value], words: str) -> None:
    with pytest.raises(PermanentTaskError, match=words):
        read(object_type, fields)
