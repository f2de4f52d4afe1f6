"""Reading the body of a request: not too much, not for too long, and not too many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import Receive

from taskrunner.wire.faults import BodyTooLarge, BodyTooSlow

BODY_TIMEOUT_S = 30.0
#: How long the body of a request that is refused is waited for, so that its sender reads why.
LINGER_S = 1.0

_KB = 1024
_MB = 1024 * _KB
_DEFAULT_LIMIT = _MB
_LIMITS: Mapping[str, int] = {
    # An expression stands in a field, which holds 10 KB; JSON may write a character as six.
    "EvaluateExpression": 64 * _KB,
    # 100 objects of 15 KB, and parameters.
    "PutPipelineDefinition": 5 * _MB,
    "ValidatePipelineDefinition": 5 * _MB,
}
#: Of all bodies that are on their way in.
_ROOM = 32 * _MB


class ClientGone(Exception):
    """The client closed the connection: there is nobody to answer."""


def body_limit(operation: str) -> int:
    """The most bytes that a request of the operation may have."""
    return _LIMITS.get(operation, _DEFAULT_LIMIT)


@dataclass(eq=False, slots=True)
class Body:
    """A body that is on its way in, or waits to be authenticated."""

    room: BodyRoom
    origin: str
    size: int = 0
    #: While it arrives: what ends the waiting for it.
    timeout: asyncio.Timeout | None = None
    crowded_out: bool = False

    def done(self) -> None:
        """Give back what room it still takes: it is authenticated, or refused."""
        self.room.give_back(self)


class BodyRoom:
    """The memory for bodies of requests that are not authenticated yet.

    When it is full, the body that has been on its way longest is given up, of the address whose
    bodies take most: slow ones make room for quick ones.
    """

    def __init__(self, most: int = _ROOM) -> None:
        self._most = most
        self._taken = 0
        #: In the order in which they began.
        self._bodies: dict[Body, None] = {}

    @property
    def taken(self) -> int:
        """How many bytes there are."""
        return self._taken

    def enter(self, origin: str) -> Body:
        """A body of an origin begins; its `done` ends it."""
        body = Body(self, origin)
        self._bodies[body] = None
        return body

    def take(self, body: Body, size: int) -> None:
        """Note that a part has come; others may have to make room for it."""
        body.size += size
        self._taken += size
        while self._taken > self._most and self._give_up_one(body):
            pass

    def give_back(self, body: Body) -> None:
        """The body takes room no more."""
        if body in self._bodies:
            del self._bodies[body]
            self._taken -= body.size

    def _give_up_one(self, newest: Body) -> bool:
        by_origin: dict[str, int] = {}
        for body in self._bodies:
            by_origin[body.origin] = by_origin.get(body.origin, 0) + body.size
        arriving = [body for body in self._bodies if body.timeout is not None and body.size]
        if not arriving:
            return False
        crowd = max((body.origin for body in arriving), key=by_origin.__getitem__)
        of_crowd = [body for body in arriving if body.origin == crowd]
        victim = next((body for body in of_crowd if body is not newest), of_crowd[0])
        self.give_back(victim)
        victim.crowded_out = True
        if victim.timeout is not None:
            victim.timeout.reschedule(0)
            victim.timeout = None
        return True


async def read_body(
    receive: Receive,
    *,
    declared: str | None,
    limit: int,
    body: Body,
    timeout_s: float = BODY_TIMEOUT_S,
    has_arrived: bool = False,
) -> bytes:
    """The whole body. Raises BodyTooLarge, BodyTooSlow or ClientGone.

    `has_arrived`: all of it is here already, so that no time need be kept.
    """
    if declared is not None and declared.isdecimal() and int(declared[:20]) > limit:
        raise BodyTooLarge(_too_large(limit))
    if has_arrived:
        return await _collect(receive, limit, body)
    try:
        async with asyncio.timeout(timeout_s) as body.timeout:
            return await _collect(receive, limit, body)
    except TimeoutError:
        if body.crowded_out:
            raise BodyTooSlow(
                "too many bodies arrive at once, this one slowly: try again"
            ) from None
        raise BodyTooSlow(f"the body did not arrive within {timeout_s:.0f} seconds") from None
    finally:
        body.timeout = None


async def _collect(receive: Receive, limit: int, body: Body) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge(_too_large(limit))
        parts.append(part)
        body.room.take(body, len(part))
        more = message.get("more_body", False)
    return b"".join(parts)


async def pass_over(receive: Receive, *, linger_s: float = LINGER_S) -> bool:
    """Read a body that is not wanted, and keep nothing of it; whether it came whole in time.

    Who closes a connection while the other side still sends, cuts off his own reply.
    """
    try:
        async with asyncio.timeout(linger_s):
            return await _pass_over(receive)
    except TimeoutError:
        return False


async def _pass_over(receive: Receive) -> bool:
    message = await receive()
    while message.get("more_body", False):
        message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return True


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit} bytes"
