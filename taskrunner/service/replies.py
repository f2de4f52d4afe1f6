"""Replies as AWS's JSON protocol has them."""

from __future__ import annotations

import json
import random

from starlette.types import Receive, Scope, Send

from taskrunner.errors import ServiceFault
from taskrunner.wire.codec import CONTENT_TYPE

_CONTENT_TYPE = (b"content-type", CONTENT_TYPE.encode("ascii"))
_CLOSE = (b"connection", b"close")


def new_request_id() -> str:
    """A fresh id, in the form of a UUID as AWS's are."""
    # It names a call in logs, and is no secret: random enough without a call of the system.
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Reply:
    """A whole reply, as an ASGI application.

    With less about it than the library's `Response`, which takes as long as it does to read, check
    and carry out many a call.
    """

    def __init__(self, body: bytes, *, status: int, request_id: str) -> None:
        self.body, self.status, self.request_id = body, status, request_id
        #: Whether the connection is closed after it.
        self.closes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [
            (b"x-amzn-requestid", self.request_id.encode("ascii")),
            _CONTENT_TYPE,
            (b"content-length", b"%d" % len(self.body)),
        ]
        if self.closes:
            headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def json_reply(body: bytes, *, status: int = 200, request_id: str | None = None) -> Reply:
    """A reply with a body of the wire."""
    return Reply(body, status=status, request_id=request_id or new_request_id())


def fault_reply(fault: ServiceFault, *, request_id: str | None = None) -> Reply:
    """A fault: its code and message, with 400 for the caller's and 500 for ours."""
    body = json.dumps({"__type": fault.code, "message": str(fault)}).encode("ascii")
    return json_reply(body, status=fault.status, request_id=request_id)
