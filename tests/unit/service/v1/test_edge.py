from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from taskrunner.errors import StoreError
from taskrunner.service.app import create_app
from taskrunner.service.auth import NoAuthenticator
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.v1.requests import ListRuns, ShowPipeline
from taskrunner.service.v1.route import Route
from taskrunner.service.v1.shapes import RunStrip
from taskrunner.testing import ServiceInProcess
from tests.contract.v1 import V1
from tests.unit.service import asgi


@pytest.fixture(scope="module")
def v1() -> Iterator[V1]:
    with ServiceInProcess() as world:
        yield V1(world)


def refused(answer: asgi.Answer) -> tuple[int, str]:
    """Status and code of an error, which has one shape whatever it is."""
    assert answer.json.keys() == {"error"}
    told = answer.json["error"]
    assert told.keys() == {"code", "message", "request_id"}
    assert told["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    return answer.status, told["code"]


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/v1/nothing", (404, "NotFoundException")),
        ("GET", "/v1/", (404, "NotFoundException")),
        ("GET", "/v1/pipelines//runs", (404, "NotFoundException")),
        ("GET", "/v1/pipelines/df-1", (404, "PipelineNotFoundException")),
        ("GET", "/v1/pipelines/df-1%2Fruns", (404, "PipelineNotFoundException")),
        ("GET", "/v1/pipelines?limit=0", (400, "InvalidRequestException")),
        ("GET", "/v1/pipelines?limit=many", (400, "InvalidRequestException")),
        ("GET", "/v1/pipelines?lmit=5", (400, "InvalidRequestException")),
        ("GET", "/v1/pipelines?marker=x", (400, "InvalidRequestException")),
        ("GET", "/v1/pipelines?marker=WzEsMl0", (400, "InvalidRequestException")),
        ("GET", "/v1/pipelines?name=%ff", (400, "InvalidRequestException")),
        ("GET", "/v1/pipelines/df-1?pipeline_id=df-2", (400, "InvalidRequestException")),
        ("DELETE", "/v1/pipelines", (405, "MethodNotAllowedException")),
    ],
)
def test_what_cannot_be_answered_is_told(
    v1: V1, method: str, path: str, found: tuple[int, str]
) -> None:
    where, _, query = path.partition("?")
    headers = v1.signed(method, where, query, b"", "viewer")
    assert refused(v1.send(method, where, query, b"", headers)) == found


def test_who_has_no_key_or_not_the_right_is_not_answered(v1: V1) -> None:
    path = "/v1/pipelines"
    unsigned = v1.send("GET", path, "", b"", {"host": asgi.HOST})
    assert refused(unsigned) == (401, "MissingAuthenticationTokenException")
    headers = v1.signed("GET", path, "", b"", "viewer")
    other_query = v1.send("GET", path, "limit=1", b"", headers)
    assert refused(other_query) == (401, "InvalidSignatureException")
    other_path = v1.send("GET", f"{path}/df-1", "", b"", headers)
    assert refused(other_path) == (401, "InvalidSignatureException")
    unknown = {**headers, "authorization": headers["authorization"].replace("viewer/", "who/")}
    assert refused(v1.send("GET", path, "", b"", unknown)) == (401, "UnrecognizedClientException")
    runner = v1.signed("GET", path, "", b"", "runner")
    assert refused(v1.send("GET", path, "", b"", runner)) == (403, "AccessDeniedException")
    assert v1.send("GET", path, "", b"", headers).status == 200


def route_of(handler: Any, method: str = "GET") -> Route:
    return Route(
        method=method,
        path="/v1/things/{pipeline_id}",
        action="SetStatus",
        request=ListRuns,
        reply=RunStrip,
        handler=handler,
        summary="Things.",
    )


def sent(route: Route, *, content_type: str, body: bytes) -> asgi.Answer:
    with ServiceInProcess() as world:
        app = create_app(
            world.service, handlers=HANDLERS, authenticator=NoAuthenticator(), v1=[route]
        )

        async def main() -> asgi.Answer | None:
            async with asgi.started(app):
                headers = {"content-type": content_type} if content_type else {}
                return await asgi.Caller(app).ask(
                    method=route.method, path="/v1/things/a%2Fb", headers=headers, parts=[body]
                )

        answer = asyncio.run(main())
        assert answer is not None
        return answer


def echo(_service: Service, _caller: Caller, request: ListRuns) -> ShowPipeline:
    return ShowPipeline(pipeline_id=request.pipeline_id, runs=request.limit)


def test_a_change_takes_members_of_the_path_and_of_the_body() -> None:
    answer = sent(
        route_of(echo, "POST"), content_type="application/json; charset=utf-8", body=b'{"limit":3}'
    )
    assert answer.json == {"pipeline_id": "a/b", "runs": 3}


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_web_page_cannot_send_a_change(content_type: str) -> None:
    """A browser sends these elsewhere without asking first."""
    answer = sent(route_of(echo, "POST"), content_type=content_type, body=b"{}")
    assert refused(answer) == (400, "SerializationException")


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    answer = sent(route_of(echo, "POST"), content_type="application/json", body=body)
    assert refused(answer) == (400, "SerializationException")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("secret of ours"), "The service failed; its log has more"),
        (StoreError("/var/lib/secret place"), "cannot be used at the moment"),
    ],
)
def test_of_our_own_failures_no_more_is_told_than_callers_may_know(
    error: Exception, told: str
) -> None:
    def failing(_service: Service, _caller: Caller, _request: ListRuns) -> None:
        raise error

    answer = sent(route_of(failing), content_type="", body=b"")
    assert refused(answer) == (500, "InternalServiceError")
    assert told in answer.json["error"]["message"]
    assert b"secret" not in answer.body
