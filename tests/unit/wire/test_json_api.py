from __future__ import annotations

import json

import pytest

from taskrunner.errors import CallRefused, NotAuthorized, ServiceUnreachable, WireError
from taskrunner.wire.http import HttpReply, HttpRequest
from taskrunner.wire.json_api import JsonApi, NoJsonApi
from tests.unit.wire.fakes import client_answering


def api_answering(status: int, body: bytes) -> JsonApi:
    client, _ = client_answering(lambda _request: HttpReply(status=status, body=body))
    return JsonApi(client)


def error(code: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": "no", "request_id": "r"}}).encode()


def test_a_get_names_path_and_query_as_they_are_signed() -> None:
    seen: list[HttpRequest] = []

    def answer(request: HttpRequest) -> HttpReply:
        seen.append(request)
        return HttpReply(status=200, body=b'{"a":1}')

    client, _ = client_answering(answer)
    found = JsonApi(client).get("pipelines", "df 1/x", "why", object_id="@A b", other=None)

    assert found == {"a": 1}
    (request,) = seen
    assert (request.method, request.path) == ("GET", "/v1/pipelines/df%201%2Fx/why")
    assert request.query == "object_id=%40A+b"
    assert request.headers["host"] == "127.0.0.1:8484"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, error("PipelineNotFoundException"), CallRefused),
        (403, error("AccessDeniedException"), NotAuthorized),
        (429, error("ThrottlingException"), ServiceUnreachable),
        (500, error("InternalServiceError"), ServiceUnreachable),
        (503, b"<html>", ServiceUnreachable),
        (404, b"Not Found", NoJsonApi),
        (404, b'{"__type": "UnknownOperationException"}', NoJsonApi),
        (400, b'{"error": "text"}', NoJsonApi),
        (405, b"", NoJsonApi),
        (200, b"ok", NoJsonApi),
        (200, b"[]", NoJsonApi),
    ],
)
def test_what_else_may_come(status: int, body: bytes, kind: type[WireError]) -> None:
    with pytest.raises(WireError) as caught:
        api_answering(status, body).get("pipelines")
    assert type(caught.value) is kind
