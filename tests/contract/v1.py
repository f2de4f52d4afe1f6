"""The service's /v1 for tests: signed calls to the application, without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from taskrunner.clock import SystemClock
from taskrunner.model.document import Definition
from taskrunner.service.app import EdgeSettings, create_app
from taskrunner.service.auth import SigV4Authenticator
from taskrunner.service.auth_keys import ROLES, Key
from taskrunner.service.callers import Caller
from taskrunner.service.handlers import HANDLERS
from taskrunner.testing import ServiceInProcess
from taskrunner.testing.service import as_definition
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.keys import FixedKeys, Keys
from taskrunner.wire.signing import SigV4Signer
from tests.unit.service import asgi

SECRET = "a secret of sixteen letters or more"
OTHER = "other"
_ACCOUNTS = {OTHER: "999999999999"}
#: A key of each role, whose id is that; one of another account; one that is bound to a group.
KEYS = {
    name: Key(
        id=name,
        secret=SECRET,
        user=f"{name}-user",
        account=_ACCOUNTS.get(name, "000000000000"),
        actions=ROLES.get(name, ROLES["admin"]),
        worker_groups=frozenset({"mine"}) if name == "bound" else None,
    )
    for name in (*ROLES, OTHER, "bound")
}


class V1:
    """Calls to a service."""

    def __init__(self, world: ServiceInProcess) -> None:
        self.world = world

    def get(self, path: str, *, role: str = "viewer", **query: Any) -> asgi.Answer:
        """The answer to a GET below /v1."""
        asked = urlencode(query, doseq=True)
        return self._send("GET", f"/v1{path}", asked, b"", role)

    def post(self, path: str, *, role: str = "operator", **body: Any) -> asgi.Answer:
        """The answer to a POST below /v1."""
        return self._send("POST", f"/v1{path}", "", json.dumps(body).encode(), role)

    def got(self, path: str, *, role: str = "viewer", **query: Any) -> Any:
        """What a GET finds."""
        return _done(self.get(path, role=role, **query))

    def did(self, path: str, *, role: str = "operator", **body: Any) -> Any:
        """What a POST says that it did."""
        found = _done(self.post(path, role=role, **body))
        self.world.settle()
        return found

    def pipeline(
        self,
        name: str,
        objects: Sequence[dict[str, Any]] | Definition,
        *,
        tags: dict[str, str] | None = None,
        activate: bool = True,
    ) -> str:
        """A pipeline of the keys' account."""
        service = self.world.service
        caller = Caller(account="000000000000", user="maker")
        made = service.create_pipeline(caller, name, name, tags=tuple((tags or {}).items()))
        service.put_definition(made, as_definition(objects))
        if activate:
            service.activate(made)
            self.world.settle()
        return made

    def signed(self, method: str, path: str, query: str, body: bytes, role: str) -> dict[str, str]:
        """The headers of a call of a key."""
        headers = {"host": asgi.HOST, "content-type": "application/json"}
        if method == "GET":
            del headers["content-type"]
        signer = SigV4Signer(FixedKeys(Keys(role, SECRET)), "us-east-1", SystemClock())
        request = HttpRequest(method=method, path=path, query=query, headers=headers, body=body)
        return dict(signer.sign(request))

    def _send(self, method: str, path: str, query: str, body: bytes, role: str) -> asgi.Answer:
        return self.send(method, path, query, body, self.signed(method, path, query, body, role))

    def send(
        self, method: str, path: str, query: str, body: bytes, headers: dict[str, str]
    ) -> asgi.Answer:
        """The answer to a request with these headers."""
        app = create_app(
            self.world.service,
            handlers=HANDLERS,
            authenticator=SigV4Authenticator(KEYS, region="us-east-1", clock=SystemClock()),
            settings=EdgeSettings(threads=1),
        )
        target = f"{path}?{query}" if query else path

        async def main() -> asgi.Answer | None:
            async with asgi.started(app):
                return await asgi.Caller(app).ask(
                    method=method, path=target, headers=headers, parts=[body]
                )

        answer = asyncio.run(main())
        assert answer is not None
        return answer


def _done(answer: asgi.Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json


def seg(text: str) -> str:
    """An id as a part of a path."""
    return quote(text, safe="")
