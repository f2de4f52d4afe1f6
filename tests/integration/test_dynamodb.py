"""DynamoDB over HTTP: signed calls to a server that stands in for it, in two regions."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import boto3
import pytest

from taskrunner.activities.hive_copy import HiveCopyActivity
from taskrunner.data.dynamodb.calls import Refused
from taskrunner.data.dynamodb.client import connect
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, TaskError
from taskrunner.model.document import Ref
from taskrunner.preconditions.dynamodb import DynamoDBDataExists, DynamoDBTableExists
from taskrunner.testing import ActivityEnvironment, new_object, new_task
from tests.integration.stand_ins import denying_sts

ITEM = {
    "id": "caf\u00e9",
    "at": 7,
    "number": Decimal("-12345678901234567890.123456789012345678"),
    "bytes": b"\x00\xff",
    "texts": {"a", "b"},
    "numbers": {1, 2},
    "blobs": {b"\x00", b"\x01"},
    "map": {"S": 1, "list": [True, None, "x", {}], "empty": []},
    "flag": False,
    "nothing": None,
    "empty": "",
}


@pytest.fixture(autouse=True)
def dynamodb(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The S3 server of the tests answers for DynamoDB as well."""
    for name in ("DYNAMODB", "STS"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", s3_endpoint)


MakeTable = Callable[[str], Any]


@pytest.fixture
def make_table() -> Iterator[MakeTable]:
    """Makes an empty table in a region."""
    made: list[Any] = []

    def make(region: str) -> Any:
        table = boto3.resource("dynamodb", region_name=region).create_table(
            TableName=f"t-{secrets.token_hex(6)}",
            AttributeDefinitions=[
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "at", "AttributeType": "N"},
                {"AttributeName": "kind", "AttributeType": "S"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-kind",
                    "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            KeySchema=[
                {"AttributeName": "id", "KeyType": "HASH"},
                {"AttributeName": "at", "KeyType": "RANGE"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        made.append(table)
        return table

    yield make
    for table in made:
        table.delete()
        table.meta.client.close()


@pytest.fixture
def environment(s3_endpoint: str) -> Iterator[ActivityEnvironment]:
    data = DataSettings(s3_endpoint=s3_endpoint, region="us-east-1")
    with ActivityEnvironment(data=data) as made:
        yield made


def copy(environment: ActivityEnvironment, source: Any, target: Any, **fields: Any) -> None:
    nodes = [
        new_object(name, "S3DataNode" if "directoryPath" in node else "DynamoDBDataNode", node)
        for name, node in (("In", source), ("Out", target))
    ]
    about = {"input": Ref("In"), "output": Ref("Out"), **fields}
    environment.run(HiveCopyActivity(), new_task("HiveCopyActivity", about, *nodes))


def scan(table: Any) -> list[dict[str, Any]]:
    found = table.scan()["Items"]
    return sorted(found, key=lambda item: (item["id"], item["at"]))


def test_every_type_goes_to_s3_and_into_another_region(
    environment: ActivityEnvironment, make_table: MakeTable, s3_bucket: str
) -> None:
    east, west = make_table("us-east-1"), make_table("us-west-2")
    with east.batch_writer() as batch:
        batch.put_item(ITEM)
        for number in range(60):
            batch.put_item({"id": f"user-{number}", "at": number})
    folder = {"directoryPath": f"s3://{s3_bucket}/export", "compression": "gzip"}
    copy(environment, {"tableName": east.name}, folder)
    copy(environment, folder, {"tableName": west.name, "region": "us-west-2"})
    assert scan(west) == scan(east)
    assert len(scan(west)) == 61


def test_a_table_straight_into_another(
    environment: ActivityEnvironment, make_table: MakeTable
) -> None:
    east, west = make_table("us-east-1"), make_table("us-west-2")
    east.put_item(Item=ITEM)
    east.put_item(Item={"id": "x", "at": 8})
    target = {"tableName": west.name, "region": "us-west-2"}
    copy(environment, {"tableName": east.name}, target, filterSql="at < 8")
    assert scan(west) == [ITEM]


def test_what_the_server_says_of_an_item_is_told_with_its_line(
    environment: ActivityEnvironment, make_table: MakeTable, s3_bucket: str
) -> None:
    table = make_table("us-east-1")
    good = '{"id":{"s":"a"},"at":{"n":"1"}}'
    uri = f"s3://{s3_bucket}/in/part"
    # Only the server knows of the keys of indexes.
    bad = '{"id":{"s":"b"},"at":{"n":"2"},"kind":{"s":""}}'
    environment.put(uri, f"{good}\n{bad}\n")
    with pytest.raises(TaskError, match=f"{uri}, line 2: the table .* does not take") as caught:
        copy(environment, {"directoryPath": f"s3://{s3_bucket}/in"}, {"tableName": table.name})
    assert '{"id": {"S": "b"}, "at": {"N": "2"}}' in str(caught.value)
    assert caught.value.error_id == ErrorId.INVALID_FIELD


def test_a_table_that_is_not_there(environment: ActivityEnvironment, s3_bucket: str) -> None:
    folder = {"directoryPath": f"s3://{s3_bucket}/out"}
    with pytest.raises(TaskError, match="'In', field 'tableName': there is no table 'none' in us-"):
        copy(environment, {"tableName": "none"}, folder)
    assert list(environment.objects.list(f"s3://{s3_bucket}/out")) == []


def test_preconditions(environment: ActivityEnvironment, make_table: MakeTable) -> None:
    table = make_table("us-east-1")
    fields = {"tableName": table.name, "role": "arn:aws:iam::123456789012:role/reader"}

    def holds(kind: type[DynamoDBTableExists | DynamoDBDataExists], **more: str) -> bool:
        return environment.check(kind(), new_task(kind.type, {**fields, **more}))

    assert holds(DynamoDBTableExists)
    assert not holds(DynamoDBTableExists, tableName="none")
    assert not holds(DynamoDBDataExists)
    table.put_item(Item=ITEM)
    assert holds(DynamoDBDataExists)


def test_a_role_that_may_not_be_assumed(
    environment: ActivityEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = "arn:aws:iam::123456789012:role/reader"
    task = new_task("DynamoDBTableExists", {"tableName": "t", "role": role})
    with denying_sts() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        with pytest.raises(TaskError) as caught:
            environment.check(DynamoDBTableExists(), task)
    begin = f"DynamoDBTableExists 'Activity', field 'role': the role {role!r} may not be assumed: "
    assert str(caught.value).startswith(begin)
    assert "let its trust policy name the agent's own role or user" in str(caught.value)
    assert caught.value.error_id == ErrorId.ACCESS_DENIED


def test_calls_of_a_role_are_made_with_its_keys() -> None:
    calls = connect("us-east-1", "arn:aws:iam::123456789012:role/reader")
    try:
        with pytest.raises(Refused, match="ResourceNotFoundException"):
            calls.call("DescribeTable", {"TableName": "none"})
    finally:
        calls.close()


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")
    calls = connect("us-east-1")
    try:
        with pytest.raises(TaskError, match=r"DynamoDB at http://127\.0\.0\.1:1 does not answer"):
            calls.call("DescribeTable", {"TableName": "none"})
    finally:
        calls.close()
