"""What is read off a table's description."""

from __future__ import annotations

from typing import Any

import pytest

from taskrunner.data.dynamodb.calls import Named, Refused, Unanswered
from taskrunner.data.dynamodb.table import described, share_of
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from tests.unit.data.dynamodb.fake import FakeDynamoDB

USERS = Named(table="users", owner="DynamoDBDataNode 'Users'")


def test_units_keys_and_sizes() -> None:
    table = described(FakeDynamoDB(3, read=7, write=9), USERS)
    assert (table.name, table.region, table.identity) == ("users", "us-east-1", "one")
    assert (table.read_units, table.write_units) == (7, 9)
    assert [(key.name, key.kind) for key in table.keys] == [("id", "S")]
    assert table.item_count == 3


@pytest.mark.parametrize(
    ("more", "units"),
    [
        ({}, (40_000, 40_000)),
        ({"OnDemandThroughput": {"MaxReadRequestUnits": 50}}, (50, 40_000)),
        ({"OnDemandThroughput": {"MaxReadRequestUnits": -1}}, (40_000, 40_000)),
    ],
)
def test_a_table_on_demand_counts_as_aws_counts_it(
    more: dict[str, Any], units: tuple[float, float]
) -> None:
    server = FakeDynamoDB(read=0, write=0)
    server.table = {"BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}, **more}
    table = described(server, USERS)
    assert (table.read_units, table.write_units) == units


def test_a_table_that_is_not_there() -> None:
    named = Named(table="user", owner="EmrActivity 'Backup'", field="step")
    with pytest.raises(TaskError) as caught:
        described(FakeDynamoDB(), named)
    assert str(caught.value) == (
        "EmrActivity 'Backup', field 'step': there is no table 'user' in us-east-1; "
        "create it, or correct its name or region"
    )
    assert caught.value.error_id == ErrorId.NOT_FOUND


def test_a_table_that_is_being_made() -> None:
    server = FakeDynamoDB()
    server.table = {"TableStatus": "CREATING"}
    with pytest.raises(TaskError, match="table 'users': it is CREATING in us-east-1, wanted ACT"):
        described(server, USERS)


@pytest.mark.parametrize(
    ("code", "text", "error_id"),
    [
        ("AccessDeniedException", "let the agent's credentials do that", ErrorId.ACCESS_DENIED),
        ("UnrecognizedClientException", "correct the agent's", ErrorId.ACCESS_DENIED),
        ("ThrottlingException", "still throttled", ErrorId.CONNECTION_FAILED),
        ("InternalServerError", "why (InternalServerError)", ErrorId.CONNECTION_FAILED),
        ("ValidationException", "why (ValidationException)", ErrorId.INVALID_FIELD),
        ("Surprise", "why (Surprise)", ErrorId.ACTIVITY_FAILED),
    ],
)
def test_refusals_say_what_was_to_be_done(code: str, text: str, error_id: str) -> None:
    server = FakeDynamoDB()

    def refuse(*_: object) -> None:
        raise Refused(code, "why")

    server.before = refuse
    with pytest.raises(TaskError) as caught:
        described(server, USERS)
    message = str(caught.value)
    assert message.startswith(f"{USERS.origin}, table 'users': cannot look at it in us-east-1: ")
    assert text in message
    assert caught.value.error_id == error_id


def test_no_answer_is_told_of_the_table() -> None:
    server = FakeDynamoDB()

    def fail(*_: object) -> None:
        raise Unanswered("DynamoDB at http://here does not answer")

    server.before = fail
    with pytest.raises(TaskError) as caught:
        described(server, USERS)
    assert str(caught.value) == (
        "DynamoDBDataNode 'Users', field 'tableName', table 'users': cannot look at it in "
        "us-east-1: DynamoDB at http://here does not answer"
    )
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED


def test_shares() -> None:
    assert share_of("0.25", "x") == 0.25
    assert share_of(None, "x") == share_of(" ", "x") == 0.5
    assert share_of("1.5", "x") == 1.5


@pytest.mark.parametrize("text", ["0", "0.0", "-1", "25", "half", "nan", "inf"])
def test_a_share_that_cannot_be(text: str) -> None:
    with pytest.raises(PermanentTaskError) as caught:
        share_of(text, "DynamoDBDataNode 'Users', field 'readThroughputPercent'")
    assert str(caught.value) == (
        "DynamoDBDataNode 'Users', field 'readThroughputPercent': "
        f"found {text!r}, wanted a share of the capacity from 0.1 to 1.0"
    )
    assert caught.value.error_id == ErrorId.INVALID_FIELD
