"""Calls to DynamoDB: what is sent, what is tried again, and what is told of failures."""

from __future__ import annotations

import json
import threading
import zlib
from typing import Any

import botocore.exceptions as aws
import pytest

from taskrunner.data.dynamodb.calls import Refused
from taskrunner.data.dynamodb.client import DynamoDB, connect
from taskrunner.data.dynamodb.limiter import Stopped
from taskrunner.errors import ErrorId, TaskError
from taskrunner.testing import FakeClock

Answer = tuple[int, dict[str, str], bytes] | Exception


def answer(status: int, body: Any, **headers: str) -> Answer:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, body


def refusal(code: str, message: str = "why", status: int = 400) -> Answer:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    return answer(status, json.dumps(body).encode())


GOOD = answer(200, b'{"Items":[]}', x_amz_crc32=str(zlib.crc32(b'{"Items":[]}')))
DOWN = aws.EndpointConnectionError(endpoint_url="http://127.0.0.1:1")


class FakeSender:
    """Gives the answers in order; the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[bytes, dict[str, str]]] = []
        self.closed = False

    def send(self, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        self.sent.append((body, headers))
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        self.closed = True


def client(sender: FakeSender, clock: FakeClock | None = None) -> DynamoDB:
    return DynamoDB(
        sender, "us-east-1", "http://here", clock=clock or FakeClock(), jitter=lambda: 1.0
    )


def test_a_call_is_the_json_of_the_api() -> None:
    sender = FakeSender(GOOD)
    assert client(sender).call("Scan", {"TableName": "caf\u00e9"}) == {"Items": []}
    body, headers = sender.sent[0]
    assert json.loads(body) == {"TableName": "caf\u00e9"}
    assert headers["X-Amz-Target"] == "DynamoDB_20120810.Scan"
    assert headers["Content-Type"] == "application/x-amz-json-1.0"


@pytest.mark.parametrize(
    "passing",
    [
        refusal("ProvisionedThroughputExceededException"),
        refusal("ThrottlingException"),
        refusal("InternalServerError", status=500),
        answer(503, b"{}"),
        answer(200, b"<html>", x_amz_crc32=str(zlib.crc32(b"<html>"))),
        answer(200, b"[]"),
        answer(200, b'{"Items":[]}', x_amz_crc32="1"),
        DOWN,
        aws.ReadTimeoutError(endpoint_url="http://here"),
    ],
)
def test_what_may_pass_is_tried_again(passing: Answer) -> None:
    clock = FakeClock()
    sender = FakeSender(passing, passing, GOOD)
    assert client(sender, clock).call("Scan", {}) == {"Items": []}
    assert clock.waits == pytest.approx([0.1, 0.2])


def test_the_waits_grow_and_are_not_in_step() -> None:
    clock = FakeClock()
    with pytest.raises(Refused):
        client(FakeSender(refusal("ThrottlingException")), clock).call("Scan", {})
    assert clock.waits[-1] == 20.0
    assert sum(clock.waits) > 120
    low = DynamoDB(FakeSender(GOOD), "r", "e", jitter=lambda: 0.0)
    assert low.pause(1) == pytest.approx(0.05)


def test_a_refusal_is_not_tried_again() -> None:
    sender = FakeSender(refusal("ResourceNotFoundException", "no table"))
    with pytest.raises(Refused) as caught:
        client(sender).call("Scan", {})
    assert (caught.value.code, caught.value.message) == ("ResourceNotFoundException", "no table")
    assert len(sender.sent) == 1


@pytest.mark.parametrize(
    ("answered", "text"),
    [
        (DOWN, "DynamoDB at http://here does not answer (Could not connect"),
        (answer(404, b"<html>"), "gave an answer that is not DynamoDB's (HTTP 404)"),
        (answer(200, b"{}", x_amz_crc32="1"), "sent an answer that was damaged on its way"),
    ],
)
def test_no_usable_answer(answered: Answer, text: str) -> None:
    sender = FakeSender(answered)
    with pytest.raises(TaskError) as caught:
        client(sender).call("Scan", {})
    assert text in str(caught.value)
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED
    assert len(sender.sent) == 6


def test_credentials_that_cannot_be_had_are_not_asked_for_again() -> None:
    sender = FakeSender(aws.CredentialRetrievalError(provider="sso", error_msg="log in again"))
    with pytest.raises(TaskError, match=r"log in again.*give the agent some") as caught:
        client(sender).call("Scan", {})
    assert caught.value.error_id == ErrorId.ACCESS_DENIED
    assert len(sender.sent) == 1


def test_a_refusal_without_a_code() -> None:
    with pytest.raises(Refused, match="HTTP 403"):
        client(FakeSender(answer(403, b"{}"))).call("Scan", {})


def test_a_stop_ends_the_tries() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        client(FakeSender(DOWN)).call("Scan", {}, stop)


def test_close_lets_the_connections_go() -> None:
    sender = FakeSender(GOOD)
    client(sender).close()
    assert sender.closed


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(TaskError, match="no usable AWS credentials for DynamoDB") as caught:
        connect("us-east-1")
    assert caught.value.error_id == ErrorId.ACCESS_DENIED


def test_a_region_that_is_none() -> None:
    with pytest.raises(TaskError, match="cannot use DynamoDB in the region 'us east'") as caught:
        connect("us east")
    assert caught.value.error_id == ErrorId.INVALID_FIELD
