"""Replies as AWS's JSON protocol has them."""

from __future__ import annotations

import json
import secrets

from starlette.responses import Response

from taskrunner.errors import ServiceFault
from taskrunner.wire.codec import CONTENT_TYPE


def new_request_id() -> str:
    """A fresh id, in the form of a UUID as AWS's are."""
    digits = secrets.token_hex(16)
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts)


def json_reply(body: bytes, *, status: int = 200, request_id: str | None = None) -> Response:
    """A reply with a body of the wire."""
    headers = {"x-amzn-requestid": request_id or new_request_id(), "content-type": CONTENT_TYPE}
    return Response(body, status_code=status, headers=headers)


def fault_reply(fault: ServiceFault, *, request_id: str | None = None) -> Response:
    """A fault: its code and message, with 400 for the caller's and 500 for ours."""
    body = json.dumps({"__type": fault.code, "message": str(fault)}).encode("ascii")
    return json_reply(body, status=fault.status, request_id=request_id)
