"""The real service on a loopback port, in this process: for local runs and for tests.

Any user of the machine can connect to a loopback port, and whoever may put definitions may run
commands as us. So the API answers only under a path that nobody can guess; the URL is the key.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from taskrunner.service.app import create_app
from taskrunner.service.auth import NoAuthenticator
from taskrunner.service.engine import Service
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.replies import fault_reply
from taskrunner.wire.faults import AccessDenied

__all__ = ["LoopbackServer"]

#: Random bytes of the path: far beyond guessing.
KEY_BYTES = 24


class LoopbackServer:
    """A server on a free loopback port; its `url` is known before it serves."""

    def __init__(self) -> None:
        """Take a port."""
        self._key = secrets.token_urlsafe(KEY_BYTES)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/{self._key}"

    @contextmanager
    def serving(self, service: Service) -> Iterator[None]:
        """Serve until the block ends; waiting polls are answered then."""
        app = create_app(service, handlers=HANDLERS, authenticator=NoAuthenticator())
        config = uvicorn.Config(
            _UnderPath(app, f"/{self._key}"),
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=5,
        )
        server = _Server(config, app)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [self._socket]}, name="http", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()
            self._socket.close()


class _Server(uvicorn.Server):
    """A server that answers waiting polls before it waits for its connections to end."""

    def __init__(self, config: uvicorn.Config, app: Starlette) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.stop()
        await super().shutdown(sockets)


class _UnderPath:
    """Passes on what is asked under one path, as if it had been asked at the root."""

    def __init__(self, app: ASGIApp, path: str) -> None:
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
