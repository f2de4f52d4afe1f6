"""The real service on a loopback port, in this process: for local runs and for tests.

Any user of the machine can connect to a loopback port, and whoever may put definitions may run
commands as us. So the API answers only under a path that nobody can guess; the URL is the key.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from taskrunner.service.app import create_app
from taskrunner.service.auth import NoAuthenticator
from taskrunner.service.engine import Service
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.replies import fault_reply
from taskrunner.service.server import Address, ServiceServer, bind, url_of
from taskrunner.wire.faults import AccessDenied

#: Random bytes of the path: far beyond guessing.
KEY_BYTES = 24


class LoopbackServer:
    """A server on a free loopback port; its `url` is known before it serves."""

    def __init__(self) -> None:
        """Take a port."""
        self._path = "/" + secrets.token_urlsafe(KEY_BYTES)
        self._socket = bind(Address(host="127.0.0.1", port=0))
        self.url = url_of(self._socket) + self._path

    @contextmanager
    def serving(self, service: Service) -> Iterator[None]:
        """Serve until the block ends; waiting polls are answered then."""
        app = create_app(service, handlers=HANDLERS, authenticator=NoAuthenticator())
        app.add_middleware(_UnderPath, path=self._path)
        server = ServiceServer(app, self._socket)
        thread = threading.Thread(target=server.run, name="http", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.stop()
            thread.join()


class _UnderPath:
    """Passes on what is asked under one path, as if it had been asked at the root."""

    def __init__(self, app: ASGIApp, *, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            asked = scope["path"].rstrip("/").encode()
            if not hmac.compare_digest(asked, self._path.encode()):
                await fault_reply(AccessDenied("this service is private"))(scope, receive, send)
                return
            scope = {**scope, "path": "/", "raw_path": b"/"}
        await self._app(scope, receive, send)
