from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.loopback import KEY_BYTES, LoopbackServer
from taskrunner.service.v1.edge import EdgeParts
from taskrunner.testing import ServiceInProcess


@pytest.fixture
def url(world: ServiceInProcess) -> Iterator[str]:
    server = LoopbackServer()
    with server.serving(world.service):
        yield server.url


def ask(url: str, path: str | None = None, *, method: str = "POST") -> tuple[int, str]:
    """Ask for a list of pipelines; the status and the body of the answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "DataPipeline.ListPipelines",
    }
    try:
        connection.request(method, parts.path if path is None else path, b"{}", headers)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def test_under_its_path_the_service_answers(url: str, world: ServiceInProcess) -> None:
    pipeline = world.service.create_pipeline(ANONYMOUS, "p", "1")
    status, body = ask(url)
    assert status == 200
    assert pipeline in body


def test_a_closing_slash_is_the_same_path(url: str) -> None:
    assert ask(url, urlsplit(url).path + "/")[0] == 200


def test_every_other_path_is_refused(url: str) -> None:
    key = urlsplit(url).path
    others = ["/", "/x", key[:-1], key + "x", key + "/x", key.upper(), "/health", "/metrics"]
    for path in [*others, "/%00", "/%C3%BC", "/%FF", "/" + key, "/x/.." + key]:
        for method in ("POST", "GET", "PUT"):
            status, body = ask(url, path, method=method)
            assert 400 <= status < 500, path
            assert "AccessDenied" in body
            assert "pipelineIdList" not in body


def test_every_server_has_another_path_that_cannot_be_guessed(world: ServiceInProcess) -> None:
    one, other = LoopbackServer(), LoopbackServer()
    with one.serving(world.service), other.serving(world.service):
        mine, theirs = urlsplit(one.url), urlsplit(other.url)
        assert mine.path != theirs.path
        assert len(mine.path) > KEY_BYTES
        assert {mine.hostname, theirs.hostname} == {"127.0.0.1"}
        assert ask(one.url, theirs.path)[0] != 200


def test_it_stops_with_the_block(world: ServiceInProcess) -> None:
    server = LoopbackServer()
    before = set(threading.enumerate())
    with server.serving(world.service):
        assert ask(server.url)[0] == 200
    assert [t for t in threading.enumerate() if t not in before and t.name == "http"] == []
    port = urlsplit(server.url).port or 0
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 5):
        pass


def test_it_stops_when_the_block_fails(world: ServiceInProcess) -> None:
    server = LoopbackServer()
    with pytest.raises(ZeroDivisionError), server.serving(world.service):
        raise ZeroDivisionError
    assert "http" not in {thread.name for thread in threading.enumerate()}


async def _page(request: Request) -> Response:
    return HTMLResponse(f'<a href="/p">{request.url.path}</a>')


def _pages(_parts: EdgeParts) -> list[Route]:
    return [Route("/", _page), Route("/p", _page)]


def test_pages_have_a_path_of_their_own_that_is_not_the_apis(world: ServiceInProcess) -> None:
    server = LoopbackServer()
    with server.serving(world.service, _pages):
        path = urlsplit(server.pages_url).path
        assert path != urlsplit(server.url).path
        assert len(path) > KEY_BYTES
        status, body = ask(server.url, f"{path}/p", method="GET")
        assert (status, f'href="{path}/p">/p<' in body) == (200, True)
        assert ask(server.url, f"{path}/", method="GET")[0] == 200
        # The path is for pages: who has seen it in a browser has neither of the APIs.
        assert ask(server.url)[0] == 200
        for method, other in (("POST", f"{path}/"), ("GET", f"{path}/v1/pipelines")):
            assert "AccessDenied" in ask(server.url, other, method=method)[1]
        for other in ("/", "/p", path, path[:-1] + "/p", path + "x/p", "//" + path):
            assert "AccessDenied" in ask(server.url, other, method="GET")[1]


def test_pages_come_back_where_they_were(world: ServiceInProcess) -> None:
    first = LoopbackServer()
    with first.serving(world.service, _pages):
        pass
    again = first.again()
    assert again.pages_url == first.pages_url
    assert again.url != first.url
    with again.serving(world.service, _pages):
        path = urlsplit(first.pages_url).path
        assert ask(first.pages_url, f"{path}/p", method="GET")[0] == 200
