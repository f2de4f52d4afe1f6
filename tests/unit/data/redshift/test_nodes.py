from __future__ import annotations

import pytest

from taskrunner.data.redshift.nodes import DynamoDbTable, Files, InsertMode, Table
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.document import Ref
from taskrunner.testing.activity_environment import new_object
from tests.unit.data.redshift.fakes import Fields, request


def files(**source: object) -> Files:
    formats = (
        new_object("Tsv", "TSV", {}),
        new_object("Pipes", "Custom", {"columnSeparator": "|", "column": ["a INT", "b"]}),
        new_object("Other", "CSV", {"escapeChar": "/"}),
    )
    found = request(source=source, others=formats).source
    assert isinstance(found, Files)
    return found


def test_a_directory_ends_with_a_slash() -> None:
    found = files(directoryPath="s3://b/in")
    assert (found.location, found.is_directory, found.is_manifest) == ("s3://b/in/", True, False)


def test_a_manifest_goes_before_a_path() -> None:
    found = files(manifestFilePath="s3://b/m", filePath="s3://b/f")
    assert (found.location, found.is_directory, found.is_manifest) == ("s3://b/m", False, True)


def test_a_data_format_comes_to_options() -> None:
    found = files(filePath="s3://b/f", dataFormat=Ref("Pipes"), compression="GZIP")
    assert found.format is not None
    written = [option.written for option in found.format]
    assert written == ["DELIMITER '|'", "ESCAPE", r"NULL AS '\\N'"]
    assert (found.columns, found.gzip) == (("a INT", "b"), True)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, "'Files': wanted either filePath or directoryPath"),
        ({"filePath": "/tmp/x"}, "'Files': found '/tmp/x', wanted s3://bucket/key"),
        ({"filePath": "s3://b/f", "compression": "zip"}, "compression: found 'zip'"),
        (
            {"filePath": "s3://b/f", "dataFormat": Ref("Other")},
            "'Other': COPY and UNLOAD know",
        ),
    ],
)
def test_files_that_cannot_be_used(source: Fields, expected: str) -> None:
    with pytest.raises(PermanentTaskError) as found:
        files(**{"x": "", **source})
    assert expected in str(found.value)
    assert found.value.error_id == ErrorId.INVALID_FIELD


def dynamodb(**fields: str) -> DynamoDbTable:
    node = new_object("Items", "DynamoDBDataNode", {"tableName": "items", **fields})
    found = request(others=[node], input=Ref("Items")).source
    assert isinstance(found, DynamoDbTable)
    return found


def test_a_dynamodb_table() -> None:
    found = dynamodb(region="us-west-2")
    assert (found.location, found.region, found.read_ratio) == ("dynamodb://items", "us-west-2", 50)
    assert dynamodb(readThroughputPercent="0.25").read_ratio == 25


@pytest.mark.parametrize("share", ["0", "1.5", "half"])
def test_a_share_that_cannot_be(share: str) -> None:
    with pytest.raises(PermanentTaskError, match=f"readThroughputPercent: found '{share}'"):
        dynamodb(readThroughputPercent=share)


def test_a_table() -> None:
    target: Fields = {"primaryKeys": ["id, Day", "id", '"Note"'], "schemaName": "sales"}
    found = request(target=target).target
    assert isinstance(found, Table)
    assert (found.schema, found.table) == ("sales", "orders")
    assert found.primary_keys == ("id", "Day", "Note")


def test_an_activity() -> None:
    found = request(insertMode="truncate", transformSql=" select 1; ", queue="etl")
    assert (found.mode, found.transform, found.queue) == (InsertMode.TRUNCATE, "select 1", "etl")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"output": Ref("Files")}, "neither 'Files' nor 'Files' is a RedshiftDataNode"),
        ({"output": Ref("Other")}, "'Table' and 'Other' are in different databases"),
        ({"input": []}, "'Load': 0 data nodes in its field 'input', wanted one"),
        ({"output": Ref("Sql")}, "SqlDataNode 'Sql': wanted an S3DataNode or a RedshiftDataNode"),
    ],
)
def test_nodes_that_do_not_go_together(fields: Fields, expected: str) -> None:
    others = [
        new_object("Db2", "RedshiftDatabase", {}),
        new_object("Other", "RedshiftDataNode", {"database": Ref("Db2"), "tableName": "x"}),
        new_object("Sql", "SqlDataNode", {}),
    ]
    if fields.get("output") == Ref("Other"):
        fields = {**fields, "input": Ref("Table")}
    with pytest.raises(PermanentTaskError) as found:
        request(others=others, **fields)
    assert expected in str(found.value)
