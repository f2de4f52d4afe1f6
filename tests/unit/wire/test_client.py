from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from email.utils import format_datetime

import pytest

from taskrunner.errors import (
    CallRefused,
    NotAuthorized,
    ServiceUnreachable,
    UnknownTask,
    WireError,
)
from taskrunner.wire.api import Verdict
from taskrunner.wire.endpoint import Endpoint
from taskrunner.wire.http import HttpReply, HttpRequest, TransportError
from taskrunner.wire.runner import RunnerApi
from tests.unit.wire.fakes import FixedClock, client_answering

AWS = Endpoint(scheme="https", host="datapipeline.us-east-1.amazonaws.com", port=443)
JSON = {"content-type": "application/x-amz-json-1.1"}


class HeaderSigner:
    """Adds one header, so that a test sees that a call was signed."""

    def sign(self, request: HttpRequest) -> Mapping[str, str]:
        return {**request.headers, "authorization": "signed"}


def error_reply(status: int, code: str, message: str = "no") -> HttpReply:
    body = json.dumps({"__type": code, "message": message}).encode()
    return HttpReply(status=status, headers=JSON, body=body)


def outcome(reply: HttpReply, *, verb: str = "poll", clock: FixedClock | None = None) -> WireError:
    """The error that a call ends with when the service replies so."""
    client, _ = client_answering(lambda _request: reply, clock=clock)
    runner = RunnerApi(client.call)
    calls: dict[str, Callable[[], object]] = {
        "poll": lambda: runner.poll_for_task(worker_group="g", hostname="h"),
        "status": lambda: runner.set_task_status("t", Verdict(status="FINISHED")),
    }
    with pytest.raises(WireError) as caught:
        calls[verb]()
    return caught.value


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "InternalServiceError"),
        (503, "ServiceUnavailable"),
        (400, "ThrottlingException"),
        (429, "Whatever"),
        (408, "RequestTimeoutException"),
    ],
)
def test_what_may_pass_is_unreachable(status: int, code: str) -> None:
    assert type(outcome(error_reply(status, code))) is ServiceUnreachable


@pytest.mark.parametrize(
    "code",
    [
        "AccessDeniedException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "ExpiredTokenException",
    ],
)
@pytest.mark.parametrize("status", [400, 403])
def test_what_is_wrong_with_the_credentials_is_not_authorized(status: int, code: str) -> None:
    error = outcome(error_reply(status, code))

    assert isinstance(error, NotAuthorized)
    assert error.code == code


@pytest.mark.parametrize(
    "code", ["TaskNotFoundException", "PipelineDeletedException", "PipelineNotFoundException"]
)
def test_a_hand_out_that_is_gone_is_an_unknown_task(code: str) -> None:
    assert isinstance(outcome(error_reply(400, code), verb="status"), UnknownTask)
    assert type(outcome(error_reply(400, code), verb="poll")) is CallRefused


def test_any_other_code_is_a_refusal() -> None:
    error = outcome(error_reply(400, "InvalidRequestException", "bad group"))

    assert type(error) is CallRefused
    assert error.code == "InvalidRequestException"
    assert "bad group" in str(error)


def test_the_message_decides_nothing() -> None:
    text = "ThrottlingException AccessDeniedException TaskNotFoundException"
    error = outcome(error_reply(400, "InvalidRequestException", text), verb="status")

    assert type(error) is CallRefused


@pytest.mark.parametrize(
    "code", ["com.amazon.coral#AccessDeniedException", "AccessDenied:http://x"]
)
def test_codes_with_namespace_or_address_are_understood(code: str) -> None:
    assert isinstance(outcome(error_reply(400, code)), NotAuthorized)


@pytest.mark.parametrize(
    "reply",
    [
        HttpReply(status=200, headers={"content-type": "text/html"}, body=b"<html>login</html>"),
        HttpReply(status=200, body=b'{"taskObject":{"taskId":"t"'),
        HttpReply(status=200, body=b'{"taskObject":5}'),
        HttpReply(status=200, body=b""),
        HttpReply(status=302, headers={"location": "https://evil.example"}, body=b""),
        HttpReply(status=403, headers={"content-type": "text/html"}, body=b"<html>proxy</html>"),
        HttpReply(status=404, body=b'{"error":"x"}'),
        HttpReply(status=404, body=b"[]"),
        HttpReply(status=400, body=b'{"__type":5}'),
    ],
)
def test_nonsense_is_one_clear_message_that_names_the_endpoint(reply: HttpReply) -> None:
    error = outcome(reply)

    assert type(error) is ServiceUnreachable
    assert "http://127.0.0.1:8484 did not answer PollForTask as AWS Data Pipeline does" in str(
        error
    )
    assert "\n" not in str(error)


def test_somebody_elses_words_cannot_forge_lines() -> None:
    error = outcome(error_reply(400, "InvalidRequestException", "a\r\n\x1b[2Jb" + "c" * 9999))

    assert "\n" not in str(error)
    assert "\x1b" not in str(error)
    assert len(str(error)) < 700


def test_no_reply_is_unreachable_and_names_the_endpoint_and_the_reason() -> None:
    def refuse(_request: HttpRequest) -> HttpReply:
        raise TransportError("connection refused")

    client, _ = client_answering(refuse)

    with pytest.raises(
        ServiceUnreachable,
        match=r"http://127\.0\.0\.1:8484 did not answer PollForTask: connection refused",
    ):
        RunnerApi(client.call).poll_for_task(worker_group="g", hostname="h")


def test_calls_to_another_machine_are_signed_or_not_made() -> None:
    client, transport = client_answering(lambda _r: HttpReply(status=200, body=b"{}"), endpoint=AWS)

    with pytest.raises(NotAuthorized, match="no AWS credentials"):
        RunnerApi(client.call).poll_for_task(worker_group="g", hostname="h")

    assert transport.sent == []


def test_a_signers_headers_are_sent() -> None:
    client, transport = client_answering(
        lambda _r: HttpReply(status=200, body=b"{}"), endpoint=AWS, signer=HeaderSigner()
    )

    RunnerApi(client.call).poll_for_task(worker_group="g", hostname="h")

    assert transport.sent[0][0].headers["authorization"] == "signed"


@pytest.mark.parametrize(("minutes", "word"), [(10, "behind"), (-10, "ahead of")])
def test_a_signature_refused_by_a_wrong_clock_is_tried_again_and_names_the_clock(
    minutes: int, word: str
) -> None:
    clock = FixedClock()
    theirs = format_datetime(clock.now() + timedelta(minutes=minutes), usegmt=True)
    reply = error_reply(400, "InvalidSignatureException")
    reply = HttpReply(status=400, headers={"date": theirs}, body=reply.body)

    error = outcome(reply, clock=clock)
    assert isinstance(error, ServiceUnreachable), "clocks are set right by themselves"
    assert f"this host's clock is 10 min {word} the service's" in str(error)
    denied = HttpReply(
        status=400, headers=reply.headers, body=error_reply(400, "AccessDeniedException").body
    )
    assert isinstance(outcome(denied, clock=clock), NotAuthorized)


def test_a_date_header_of_nonsense_is_ignored() -> None:
    reply = error_reply(400, "InvalidSignatureException")

    for text in ("yesterday", "Fri, 99 Foo 2026", ""):
        error = outcome(HttpReply(status=400, headers={"date": text}, body=reply.body))
        assert "clock" not in str(error)
