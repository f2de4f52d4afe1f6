"""DynamoDBTableExists and DynamoDBDataExists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from taskrunner.data.dynamodb.calls import Calls, Refused
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, TaskError
from taskrunner.preconditions.dynamodb import DynamoDBDataExists, DynamoDBTableExists
from taskrunner.testing import ActivityEnvironment, new_task
from tests.unit.data.dynamodb.fake import FakeDynamoDB

ROLE = "arn:aws:iam::123456789012:role/reader"


@pytest.fixture
def environment() -> Iterator[ActivityEnvironment]:
    with ActivityEnvironment(data=DataSettings(region="eu-west-1")) as made:
        yield made


def holds(
    environment: ActivityEnvironment,
    kind: type[DynamoDBTableExists | DynamoDBDataExists],
    server: FakeDynamoDB,
    **fields: str,
) -> bool:
    asked: list[tuple[str | None, str | None]] = []

    def connect(region: str | None, role: str | None) -> Calls:
        asked.append((region, role))
        return server

    task = new_task(kind.type, {"tableName": "users", "role": "DataPipelineDefaultRole", **fields})
    found = environment.check(kind(connect), task)
    role = fields.get("role")
    assert asked == [("eu-west-1", role)]
    assert server.closed
    return found


def test_a_table_is_there(environment: ActivityEnvironment) -> None:
    assert holds(environment, DynamoDBTableExists, FakeDynamoDB())
    assert not holds(environment, DynamoDBTableExists, FakeDynamoDB(), tableName="none")


@pytest.mark.parametrize(("status", "there"), [("CREATING", False), ("UPDATING", True)])
def test_a_table_counts_once_it_can_be_used(
    environment: ActivityEnvironment, status: str, there: bool
) -> None:
    server = FakeDynamoDB(1)
    server.table = {"TableStatus": status}
    assert holds(environment, DynamoDBTableExists, server) is there
    assert holds(environment, DynamoDBDataExists, server) is there


def test_data_are_there(environment: ActivityEnvironment) -> None:
    assert holds(environment, DynamoDBDataExists, FakeDynamoDB(3))
    assert not holds(environment, DynamoDBDataExists, FakeDynamoDB())
    assert not holds(environment, DynamoDBDataExists, FakeDynamoDB(), tableName="none")


def test_a_page_may_be_empty_although_others_follow(environment: ActivityEnvironment) -> None:
    class Sparse(FakeDynamoDB):
        def _Scan(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
            if "ExclusiveStartKey" not in request:
                return {"Items": [], "LastEvaluatedKey": {"id": {"S": "user-0"}}}
            return super()._Scan(request)

    assert holds(environment, DynamoDBDataExists, Sparse(1))
    assert not holds(environment, DynamoDBDataExists, Sparse())


@pytest.mark.parametrize("kind", [DynamoDBTableExists, DynamoDBDataExists])
def test_a_role_is_assumed_where_it_is_one_that_can_be(
    environment: ActivityEnvironment, kind: type[DynamoDBTableExists | DynamoDBDataExists]
) -> None:
    assert holds(environment, kind, FakeDynamoDB(1), role=ROLE)


def test_a_refusal_is_an_error_and_no_false(environment: ActivityEnvironment) -> None:
    server = FakeDynamoDB()

    def refuse(*_: object) -> None:
        raise Refused("AccessDeniedException", "not authorized")

    server.before = refuse
    with pytest.raises(TaskError, match="DynamoDBTableExists 'Activity', field 'tabl") as caught:
        holds(environment, DynamoDBTableExists, server)
    assert caught.value.error_id == ErrorId.ACCESS_DENIED
