from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from taskrunner.service.front import Front
from taskrunner.service.replies import fault_reply, json_reply
from taskrunner.wire.faults import AccessDenied
from tests.unit.service.asgi import Caller


class Api:
    """Answers every call, and knows which way it came."""

    def __init__(self) -> None:
        self.scopes: list[MutableMapping[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await json_reply(b"{}")(scope, receive, send)


def status(api: Api, method: str, path: str, host: str) -> int:
    front = Front(api, routes=[], host_names=["Ours.example"])
    asking = Caller(front).ask(method=method, path=path, headers={"host": host})
    answer = asyncio.run(asking)
    assert answer is not None
    return answer.status


@pytest.mark.parametrize("host", ["127.0.0.1:8484", "ours.example", "OURS.example:8484"])
def test_calls_of_the_api_take_the_short_way(host: str) -> None:
    api = Api()
    assert status(api, "POST", "/", host) == 200
    (scope,) = api.scopes
    assert "app" not in scope  # which Starlette adds, as the first thing that it does


@pytest.mark.parametrize(
    ("method", "path", "host", "wanted"),
    [
        ("POST", "/", "evil.example", 421),
        ("POST", "/", "", 421),
        ("GET", "/", "ours.example", 405),
        ("POST", "/else", "ours.example", 404),
    ],
)
def test_what_is_none_is_refused_as_ever(method: str, path: str, host: str, wanted: int) -> None:
    api = Api()
    assert status(api, method, path, host) == wanted
    assert api.scopes == []


def test_what_is_to_stand_around_every_route_stands_around_this_one() -> None:
    api = Api()
    front = Front(api, routes=[], host_names=[])

    def wrapped(_app: ASGIApp) -> ASGIApp:
        return fault_reply(AccessDenied("this service is private"))

    front.add_middleware(wrapped)
    answer = asyncio.run(Caller(front).ask())
    assert answer is not None
    assert answer.json["__type"] == "AccessDeniedException"
    assert api.scopes == []
