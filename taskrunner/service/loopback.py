"""The real service on a loopback port, in this process: for local runs and for tests.

Any user of the machine can connect to a loopback port, and whoever may put definitions may run
commands as us. So the API answers only under a path that nobody can guess; the URL is the key. The
console's pages have another such path.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from taskrunner.service.app import create_app
from taskrunner.service.auth import NoAuthenticator
from taskrunner.service.engine import Service
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.prefix import UnderPrefix
from taskrunner.service.replies import fault_reply
from taskrunner.service.server import Address, ServiceServer, bind, url_of
from taskrunner.service.v1.edge import EdgeParts
from taskrunner.wire.faults import AccessDenied

#: Random bytes of a path: far beyond guessing.
KEY_BYTES = 24

Pages = Callable[[EdgeParts], Sequence[Route]]


class LoopbackServer:
    """A server on a free loopback port; its addresses are known before it serves."""

    def __init__(self, *, port: int = 0, pages_path: str | None = None) -> None:
        """Take a port; a certain one, and a path for pages, only for what goes on there."""
        self._path = _new_path()
        self._pages_path = pages_path or _new_path()
        self._socket = bind(Address(host="127.0.0.1", port=port))
        self._port: int = self._socket.getsockname()[1]
        root = url_of(self._socket)
        #: The API's.
        self.url = root + self._path
        #: That of the console, if it serves one; what follows it begins with a slash.
        self.pages_url = root + self._pages_path

    def again(self) -> Self:
        """Another one where this one's pages were, once it has served."""
        return type(self)(port=self._port, pages_path=self._pages_path)

    @contextmanager
    def serving(self, service: Service, pages: Pages = lambda _parts: ()) -> Iterator[None]:
        """Serve until the block ends; waiting polls are answered then."""
        app = create_app(service, handlers=HANDLERS, authenticator=NoAuthenticator(), pages=pages)
        app.add_middleware(_UnderPaths, path=self._path, pages_path=self._pages_path)
        server = ServiceServer(app, self._socket)
        thread = threading.Thread(target=server.run, name="http", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.stop()
            thread.join()


class _UnderPaths:
    """Passes on what is asked under one of two paths, as if it had been asked at the root."""

    def __init__(self, app: ASGIApp, *, path: str, pages_path: str) -> None:
        self._app = app
        self._path = path
        self._pages_path = pages_path
        self._pages = UnderPrefix(app, pages_path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if self._is_page(scope):
                await self._pages(scope, receive, send)
                return
            if not _is(scope["path"].rstrip("/"), self._path):
                await fault_reply(AccessDenied("this service is private"))(scope, receive, send)
                return
            scope = {**scope, "path": "/", "raw_path": b"/"}
        await self._app(scope, receive, send)

    def _is_page(self, scope: Scope) -> bool:
        """Whether a page is asked for: where pages are, neither API answers."""
        first, slash, rest = scope["path"][1:].partition("/")
        is_api = rest.startswith("v1/") or (not rest and scope["method"] == "POST")
        return bool(slash) and not is_api and _is(f"/{first}", self._pages_path)


def _new_path() -> str:
    return "/" + secrets.token_urlsafe(KEY_BYTES)


def _is(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())
