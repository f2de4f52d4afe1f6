"""Asks an ASGI application without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette

HOST = "127.0.0.1:8484"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    #: Of each cookie that is set, its header.
    cookies: Sequence[str] = ()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """One request in progress: parts of its body, then perhaps the client's leaving."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self.gone = asyncio.Event()

    async def ask(
        self,
        *,
        method: str = "POST",
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        parts: Sequence[bytes] = (b"{}",),
    ) -> Answer | None:
        """The answer; none when the application gave none."""
        scope = _scope(method, path, {"host": HOST, **(headers or {})})
        left = [
            {"type": "http.request", "body": part, "more_body": number < len(parts)}
            for number, part in enumerate(parts, 1)
        ]
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            if left:
                return left.pop(0)
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return _answer(sent)


def _scope(method: str, target: str, headers: Mapping[str, str]) -> dict[str, Any]:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 8484),
    }


def _answer(sent: Sequence[MutableMapping[str, Any]]) -> Answer | None:
    if not sent:
        return None
    headers = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
    return Answer(
        status=sent[0]["status"],
        headers=dict(headers),
        cookies=[value for name, value in headers if name == "set-cookie"],
        body=b"".join(message.get("body", b"") for message in sent[1:]),
    )


@asynccontextmanager
async def started(app: Starlette) -> AsyncIterator[Starlette]:
    """The application between its start and its end."""
    async with app.router.lifespan_context(app):
        yield app


def wire_headers(operation: str, **more: str) -> dict[str, str]:
    return {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": f"DataPipeline.{operation}",
        **more,
    }


def ask(app: Starlette, operation: str, body: object = None, **more: str) -> Answer:
    """One call of an operation, from start to end of the application."""
    parts = [body if isinstance(body, bytes) else json.dumps(body or {}).encode()]

    async def main() -> Answer | None:
        async with started(app):
            return await Caller(app).ask(headers=wire_headers(operation, **more), parts=parts)

    answer = asyncio.run(main())
    assert answer is not None
    return answer


def get(app: Starlette, path: str, *, method: str = "GET", host: str = HOST) -> Answer:
    async def main() -> Answer | None:
        async with started(app):
            return await Caller(app).ask(method=method, path=path, headers={"host": host})

    answer = asyncio.run(main())
    assert answer is not None
    return answer
