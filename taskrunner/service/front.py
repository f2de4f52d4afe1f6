"""The application as the server sees it: calls of AWS's API take the short way through it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from taskrunner.service.hosts import HostGuard, lowered, names_us


class Front(Starlette):
    """Starlette's application, but for the calls that every task makes.

    What stands around a route of Starlette's (its middleware, the search for the route) takes
    longer than many a call does. So the one route of AWS's API is looked for first; a request for
    it that the guard of hosts would not let pass goes the long way, and is refused there.
    """

    def __init__(
        self, api: ASGIApp, *, routes: Sequence[BaseRoute], host_names: Iterable[str], **more: Any
    ) -> None:
        """`api` answers POST of `/`; `host_names` are as `HostGuard` takes them."""
        self._api, self._names = api, lowered(host_names)
        self._is_short = True
        super().__init__(
            routes=[Route("/", endpoint=api, methods=["POST"]), *routes],
            middleware=[Middleware(HostGuard, names=self._names)],
            **more,
        )

    def add_middleware(self, *args: Any, **more: Any) -> None:
        """Have something stand around every route: from then on there is no short way past it."""
        self._is_short = False
        super().add_middleware(*args, **more)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if (
            self._is_short
            and scope["type"] == "http"
            and scope["path"] == "/"
            and scope["method"] == "POST"
            and names_us(scope, self._names)
        ):
            await self._api(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
