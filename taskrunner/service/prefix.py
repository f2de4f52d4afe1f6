"""An application's pages under a path of their own, as a proxy in front of it would have them.

The application knows nothing of it: requests reach it as if they were for its root, and in what it
answers every address of its own gets the path in front. Texts of others cannot be taken for such
addresses: in them a quotation mark is escaped.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

#: Attributes of pages that hold an address, beginning at the root.
_ADDRESS = re.compile(rb'( (?:href|src|action|formaction|hx-get|data-live)=")(?=/(?!/))')
#: Headers that lead somewhere.
_LEADS = ("location", "hx-redirect")


class UnderPrefix:
    """Passes on what is asked below a path; the rest is for whoever asks to refuse."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        """`prefix` begins with a slash and does not end with one."""
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose path begins with the prefix."""
        path, raw = scope["path"], scope.get("raw_path", b"")
        given = [(key, text) for key, text in scope["headers"] if key != b"accept-encoding"]
        inner = {
            **scope,
            "path": path.removeprefix(self._prefix) or "/",
            "raw_path": raw.removeprefix(self._prefix.encode()) or b"/",
            # What is compressed could not be looked through; it goes no further than this host.
            "headers": given,
        }
        await self._app(inner, receive, _Prefixed(send, self._prefix.encode()))


class _Prefixed:
    """Sends on what an application answers, with the prefix before its addresses."""

    def __init__(self, send: Send, prefix: bytes) -> None:
        self._send = send
        self._prefix = prefix
        #: The beginning of a page, until its body is there.
        self._start: MutableMapping[str, Any] | None = None
        self._body = bytearray()

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """Take one message of the application."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            for name in _LEADS:
                if headers.get(name, "").startswith("/"):
                    headers[name] = self._prefix.decode() + headers[name]
            started = {**message, "headers": headers.raw}
            if headers.get("content-type", "").startswith("text/html"):
                self._start = started
                return
            await self._send(started)
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_page(self._start)

    async def _send_page(self, start: MutableMapping[str, Any]) -> None:
        body = _ADDRESS.sub(lambda found: found[1] + self._prefix, bytes(self._body))
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["content-length"] = str(len(body))
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})
