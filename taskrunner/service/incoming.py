"""A request as it comes in: its headers, its body, and whose share of the edge it takes."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Message, Receive, Scope

from taskrunner.errors import (
    DefinitionError,
    InternalService,
    InvalidRequest,
    ServiceFault,
    StoreError,
    UsageError,
)
from taskrunner.logs import get_logger
from taskrunner.service.bodies import BodyRoom, pass_over
from taskrunner.service.connections import origin_of
from taskrunner.service.http_protocol import CONNECTION, EdgeProtocol
from taskrunner.service.runner_calls import Sender
from taskrunner.wire.faults import BodyTooSlow
from taskrunner.wire.http import HttpRequest

log = get_logger()


class Incoming:
    """One request as it comes in; `body.done()` is to be called at its end."""

    def __init__(self, scope: Scope, receive: Receive, bodies: BodyRoom) -> None:
        self._scope = scope
        self._receive = receive
        client = scope.get("client")
        self.headers = _joined(scope["headers"])
        self.body = bodies.enter(origin_of(client[0]) if client else "")
        self.address = client[0] if client else ""
        self.sender = Sender(self.headers, self.address)
        self._whole = False

    async def receive(self) -> Message:
        """The next part of the body, or that the client has gone."""
        message = await self._receive()
        self._whole = self._whole or not message.get("more_body", False)
        return message

    @property
    def has_arrived(self) -> bool:
        """Whether all of it is here, so that nothing has to be waited for."""
        connection: EdgeProtocol | None = self._scope.get(CONNECTION)
        return connection is not None and connection.has_whole_request

    def request(self, body: bytes) -> HttpRequest:
        """All of it, as it was signed."""
        self.sender.request = request = HttpRequest(
            method=self._scope["method"],
            path=self._scope.get("raw_path", b"/").decode("latin-1"),
            query=self._scope["query_string"].decode("latin-1"),
            headers=self.headers,
            body=body,
        )
        return request

    def proved(self) -> None:
        """It is from the holder of a key: from now on it takes that key's share."""
        self.body.done()
        connection = self._scope.get(CONNECTION)
        if connection is not None:
            connection.proved()

    async def passed_over(self, fault: ServiceFault) -> bool:
        """Let the rest of a body go by that is answered with a fault; whether it came whole."""
        if not (self._whole or isinstance(fault, BodyTooSlow) or "expect" in self.headers):
            self._whole = await pass_over(self.receive)
        return self._whole


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Header names in lower case; several of one name joined by commas, as signatures do."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def fault_of(error: Exception, *, operation: str, request_id: str) -> ServiceFault:
    """What a caller is told of an error that a handler has let through."""
    if isinstance(error, ServiceFault):
        return error
    if isinstance(error, DefinitionError | UsageError):
        return InvalidRequest(str(error))
    if isinstance(error, StoreError):
        # The store has it logged once; callers are not told of paths and hosts.
        return InternalService(str(error.trouble))
    # Within the block that handles the error: it is logged with its trace.
    log.error("call failed", op=operation, request_id=request_id, exc_info=True)  # noqa: LOG014
    return InternalService(f"The service failed; its log has more under request id {request_id}.")
