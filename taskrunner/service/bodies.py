"""Reading the body of a request: not too much, and not for too long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.types import Receive

from taskrunner.wire.faults import BodyTooLarge, BodyTooSlow

BODY_TIMEOUT_S = 30.0

_MB = 1024 * 1024
_DEFAULT_LIMIT = _MB
#: Operations that carry a definition (100 objects of 15 KB, parameters) or a long expression.
_LIMITS: Mapping[str, int] = {
    "EvaluateExpression": 5 * _MB,
    "PutPipelineDefinition": 5 * _MB,
    "ValidatePipelineDefinition": 5 * _MB,
}


class ClientGone(Exception):
    """The client closed the connection: there is nobody to answer."""


def body_limit(operation: str) -> int:
    """The most bytes that a request of the operation may have."""
    return _LIMITS.get(operation, _DEFAULT_LIMIT)


async def read_body(
    receive: Receive, *, declared: str | None, limit: int, timeout_s: float = BODY_TIMEOUT_S
) -> bytes:
    """The whole body. Raises BodyTooLarge, BodyTooSlow or ClientGone."""
    if declared is not None and declared.isdecimal() and int(declared[:20]) > limit:
        raise BodyTooLarge(_too_large(limit))
    try:
        async with asyncio.timeout(timeout_s):
            return await _collect(receive, limit)
    except TimeoutError:
        raise BodyTooSlow(f"the body did not arrive within {timeout_s:.0f} seconds") from None


async def _collect(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        if len(body) > limit:
            raise BodyTooLarge(_too_large(limit))
        more = message.get("more_body", False)
    return bytes(body)


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit} bytes"
