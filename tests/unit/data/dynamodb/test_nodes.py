"""Data nodes of DynamoDB as tasks describe them."""

from __future__ import annotations

from typing import Any

import pytest

from taskrunner.data.dynamodb.items import Item
from taskrunner.data.dynamodb.nodes import items_node, region_of, table_node
from taskrunner.data.formats.compression import Compression
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.document import Ref
from taskrunner.model.task import TaskObject
from taskrunner.testing import new_object, new_task

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/users"


def node(kind: str, fields: dict[str, Any], fmt: str = "", columns: Any = ()) -> TaskObject:
    others = []
    if fmt:
        fields = {**fields, "dataFormat": Ref("Format")}
        others = [new_object("Format", fmt, {"column": columns} if columns else {})]
    task = new_task("HiveCopyActivity", {"input": Ref("N")}, new_object("N", kind, fields), *others)
    return task.object("N")


def test_a_table_node() -> None:
    fields = {"tableName": "users", "region": "us_west_2", "readThroughputPercent": "0.25"}
    found = table_node(node("DynamoDBDataNode", fields))
    assert (found.named.table, found.region) == ("users", "us-west-2")
    assert found.named.origin == "DynamoDBDataNode 'N', field 'tableName'"
    assert (found.read_share, found.write_share) == (0.25, 0.5)
    item: Item = {"a": {"S": "x"}}
    assert found.columns.project(item) is item


def test_an_arn_says_the_region() -> None:
    assert region_of(ARN, "us-east-1") == "eu-west-1"
    assert region_of("users", " us-east-1 ") == "us-east-1"
    assert region_of("users", None) is None
    assert region_of("users", " ") is None


def test_an_export_format_has_columns_for_the_filter_and_keeps_all() -> None:
    fields = {"tableName": "users"}
    found = table_node(
        node("DynamoDBDataNode", fields, "DynamoDBExportDataFormat", ["timeStamp BIGINT"])
    )
    assert found.columns.types == {"timeStamp": "BIGINT"}
    item: Item = {"a": {"S": "x"}}
    assert found.columns.project(item) == item


def test_a_data_format_has_the_columns_that_are_kept() -> None:
    columns = ["`Id` string", "price decimal(10,2)", "tags array<string>", "sparse INT"]
    found = table_node(node("DynamoDBDataNode", {"tableName": "t"}, "DynamoDBDataFormat", columns))
    assert found.columns.types == {
        "Id": "STRING",
        "price": "DECIMAL",
        "tags": "ARRAY",
        "sparse": "INT",
    }
    item: Item = {"id": {"S": "x"}, "Price": {"N": "1"}, "tags": {"SS": ["a"]}, "other": {"N": "2"}}
    assert found.columns.project(item) == {k: item[k] for k in ("id", "Price", "tags")}


def test_an_items_node() -> None:
    fields = {"directoryPath": "s3://b/d", "compression": "GZIP", "s3EncryptionType": "NONE"}
    found = items_node(node("S3DataNode", fields, "DynamoDBExportDataFormat"))
    assert found.files.uri == "s3://b/d/"
    assert found.files.compression is Compression.GZIP
    assert found.files.encrypt is False
    assert items_node(node("S3DataNode", {"filePath": "s3://b/f"})).files.uri == "s3://b/f"
    with pytest.raises(PermanentTaskError, match="found 'zstd', wanted gzip or none"):
        items_node(node("S3DataNode", {"filePath": "s3://b/f", "compression": "zstd"}))


@pytest.mark.parametrize(
    ("kind", "fields", "fmt", "columns", "problem"),
    [
        ("DynamoDBDataNode", {}, "", (), "DynamoDBDataNode 'N' has no value for the field 'tab"),
        (
            "DynamoDBDataNode",
            {"tableName": "t", "writeThroughputPercent": "0"},
            "",
            (),
            "DynamoDBDataNode 'N', field 'writeThroughputPercent': found '0', wanted a share",
        ),
        ("DynamoDBDataNode", {"tableName": "t"}, "CSV", (), "'dataFormat': found the CSV 'Format'"),
        (
            "DynamoDBDataNode",
            {"tableName": "t"},
            "DynamoDBDataFormat",
            (),
            "DynamoDBDataFormat 'Format' has no value for the field 'column'; list the attributes",
        ),
        (
            "DynamoDBDataNode",
            {"tableName": "t"},
            "DynamoDBDataFormat",
            ["id"],
            "'column': found 'id', wanted a name and a type (STRING",
        ),
        (
            "S3DataNode",
            {"directoryPath": "s3://b/d/"},
            "CSV",
            (),
            "S3DataNode 'N', field 'dataFormat': found the CSV 'Format', wanted a DynamoDBExport",
        ),
        ("S3DataNode", {}, "", (), "wanted either filePath or directoryPath"),
    ],
)
def test_what_cannot_be_used(
    kind: str, fields: dict[str, Any], fmt: str, columns: Any, problem: str
) -> None:
    read = items_node if kind == "S3DataNode" else table_node
    with pytest.raises(PermanentTaskError) as caught:
        read(node(kind, fields, fmt, columns))
    assert problem in str(caught.value)
    assert caught.value.error_id == ErrorId.INVALID_FIELD
