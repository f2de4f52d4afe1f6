"""The edge of /v1: finds the route, has the caller authenticated as ever, and answers JSON.

Who calls, what a key may do, how much it takes and that a copy of a call changes nothing are
decided by the parts that AWS's API has for it. A change must come as application/json, which keeps
web pages out: a browser asks before it sends that elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from taskrunner.errors import InvalidRequest, PipelineDeleted, PipelineNotFound, ServiceFault
from taskrunner.service.auth import Authenticator, Permit
from taskrunner.service.bodies import BodyRoom, ClientGone, body_limit, read_body
from taskrunner.service.engine import Service
from taskrunner.service.handler_pool import HandlerPool
from taskrunner.service.incoming import Incoming, fault_of
from taskrunner.service.replays import Replays
from taskrunner.service.replies import new_request_id
from taskrunner.service.store.audit import acting
from taskrunner.service.traces import answering, name_route, tell_message
from taskrunner.service.v1.faults import NotFound, WrongMethod
from taskrunner.service.v1.route import Route
from taskrunner.service.v1.schema import from_texts, read, write
from taskrunner.service.v1.text_file import TextFile, text_response
from taskrunner.tracing import Span, Tracing
from taskrunner.wire.faults import (
    AccessDenied,
    BadSerialization,
    BadSignature,
    IncompleteSignature,
    MissingAuthentication,
    Throttled,
)

#: HTTP's own status where AWS's API says 400; the first that fits counts.
_STATUSES: Sequence[tuple[type[ServiceFault], int]] = (
    (MissingAuthentication, 401),
    (IncompleteSignature, 401),
    (BadSignature, 401),
    (AccessDenied, 403),
    (PipelineNotFound, 404),
    (PipelineDeleted, 410),
    (Throttled, 429),
)
#: Of a query, more pairs than any route takes.
_MOST_PAIRS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeParts:
    """What both APIs are answered with."""

    service: Service
    authenticator: Authenticator
    pool: HandlerPool
    replays: Replays
    bodies: BodyRoom
    body_timeout_s: float
    #: Who is told of calls, as spans.
    tracing: Tracing = field(default_factory=Tracing)
    #: To be called on the loop when the service stops, before it waits for answers to end.
    at_stop: list[Callable[[], None]] = field(default_factory=list)


class V1Edge:
    """Answers every path below /v1, as an ASGI application."""

    def __init__(self, parts: EdgeParts, routes: Sequence[Route]) -> None:
        self._parts = parts
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id = new_request_id()
        call = Incoming(scope, receive, self._parts.bodies)
        try:
            response = await self._respond(scope, call, request_id)
        except ClientGone:
            return
        finally:
            call.body.done()
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, call: Incoming, request_id: str) -> Response:
        try:
            with answering(self._parts.tracing) as span:
                return await self._answer(scope, call, request_id, span)
        except ServiceFault as fault:
            response = _refusal(fault, request_id)
            if not await call.passed_over(fault):
                response.headers["connection"] = "close"
            return response

    async def _answer(self, scope: Scope, call: Incoming, request_id: str, span: Span) -> Response:
        route, given = self._found(scope)
        name_route(span, route.operation, route.method, route.path)
        parts, headers = self._parts, call.headers
        _check_content_type(route, headers)
        parts.authenticator.check_headers(headers)
        body = await read_body(
            call.receive,
            declared=headers.get("content-length"),
            limit=body_limit(route.action),
            body=call.body,
            timeout_s=parts.body_timeout_s,
        )
        request = call.request(body)
        # Whose it is, is not known yet: the hash of a large body takes a thread's time.
        permit = await parts.pool.run(
            f"from {call.body.origin}", lambda: parts.authenticator.authenticate(request)
        )
        permit = replace(permit, address=call.address)
        permit.check_action(route.action)
        call.proved()
        try:
            message = _message(route, given, request.query, body)
            route.check(permit, message)
            tell_message(span, message)
            found = await parts.pool.run(permit.holder, self._work(route, permit, message))
        except (ServiceFault, ClientGone):
            raise
        except Exception as error:
            raise fault_of(error, operation=route.operation, request_id=request_id) from error
        if isinstance(found, bytes):
            return _reply(found, 200, request_id)
        told = _headers(request_id)
        return text_response(found, parts.pool, permit.holder, told, method=scope["method"])

    def _found(self, scope: Scope) -> tuple[Route, Mapping[str, str]]:
        """The route, and what the path says. Raises NotFound or WrongMethod."""
        path = scope.get("raw_path", b"").decode("latin-1")
        matching = [
            (route, given)
            for route in self._routes
            if (given := route.takes(path.partition("?")[0])) is not None
        ]
        if not matching:
            raise NotFound(f"no resource {path}: docs/api.md has the paths of /v1")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        for route, given in matching:
            if route.method == method:
                return route, given
        takes = ", ".join(sorted({route.method for route, _ in matching}))
        raise WrongMethod(f"{path} does not take {method}: wanted {takes}")

    def _work(self, route: Route, permit: Permit, message: Any) -> Callable[[], bytes | TextFile]:
        def found() -> Any:
            service = self._parts.service
            with acting(permit.actor(route.action, service.clock.now())):
                return route.handler(service, permit.caller, message)

        def work() -> bytes:
            return write(found())

        proof, pipeline_id = permit.proof, getattr(message, "pipeline_id", None)
        if route.reply is TextFile:
            return found
        if proof is None or route.method == "GET":
            return work
        return lambda: self._parts.replays.answer(proof, route.action, pipeline_id, work)


def _check_content_type(route: Route, headers: Mapping[str, str]) -> None:
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if route.method != "GET" and given != "application/json":
        raise BadSerialization("Content-Type must be application/json")


def _message(route: Route, given: Mapping[str, str], query: str, body: bytes) -> Any:
    """The typed request of a path, a query and a body. Raises InvalidRequest."""
    found = dict(from_texts(route.request, {name: [text] for name, text in given.items()}))
    if route.method == "GET":
        asked = _query(query)
    else:
        if query:
            raise InvalidRequest("a change is asked for in the body: wanted no query")
        asked = _body(body)
    twice = sorted(found.keys() & asked.keys())
    if twice:
        raise InvalidRequest(f"{twice[0]} stands in the path already")
    texts = asked if route.method != "GET" else from_texts(route.request, asked)
    return read(route.request, {**found, **texts})


def _query(query: str) -> dict[str, list[str]]:
    try:
        return parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_PAIRS, errors="strict")
    except ValueError as error:
        raise InvalidRequest(f"the query cannot be read: {error}") from None


def _body(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise BadSerialization("the body is not JSON") from None
    if not isinstance(found, dict):
        raise BadSerialization("the body is not a JSON object")
    return found


def _reply(body: bytes, status: int, request_id: str) -> Response:
    headers = {**_headers(request_id), "content-type": "application/json"}
    return Response(body, status_code=status, headers=headers)


def _headers(request_id: str) -> dict[str, str]:
    return {
        "x-request-id": request_id,
        # What is shown may be for the holder of one key only.
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }


def _refusal(fault: ServiceFault, request_id: str) -> Response:
    """Every error has one shape."""
    told = {"code": fault.code, "message": str(fault), "request_id": request_id}
    return _reply(json.dumps({"error": told}).encode("ascii"), status_of(fault), request_id)


def status_of(fault: ServiceFault) -> int:
    """HTTP's own status of a fault, where AWS's API has 400 for all that callers do."""
    return next((s for kind, s in _STATUSES if isinstance(fault, kind)), fault.status)
