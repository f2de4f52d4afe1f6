"""The service's edge: one route, the operation named by X-Amz-Target, dispatched by a table.

Handlers are plain synchronous functions and run in a bounded pool of threads. A poll that waits
for work occupies none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from taskrunner.clock import Clock, SystemClock
from taskrunner.errors import (
    ServiceFault,
    StoreError,
)
from taskrunner.logs import get_logger
from taskrunner.service import watching
from taskrunner.service.auth import Authenticator, Permit
from taskrunner.service.bodies import (
    BODY_TIMEOUT_S,
    BodyRoom,
    ClientGone,
    body_limit,
    read_body,
)
from taskrunner.service.connections import Connections, most_connections
from taskrunner.service.costly import check_expressions
from taskrunner.service.engine import Service
from taskrunner.service.front import Front
from taskrunner.service.gauges import Edge, Gauges
from taskrunner.service.handler import Handler
from taskrunner.service.handler_pool import HandlerPool
from taskrunner.service.http_protocol import CONNECTION, EdgeProtocol
from taskrunner.service.incoming import Incoming, fault_of
from taskrunner.service.poll_calls import POLL, PollCalls
from taskrunner.service.replays import Replays
from taskrunner.service.replies import Reply, fault_reply, json_reply, new_request_id
from taskrunner.service.runner_calls import RunnerCalls, unless_ordered
from taskrunner.service.shares import CostlyCalls, HeldPolls
from taskrunner.service.store.audit import acting
from taskrunner.service.traces import answering, name_call, tell_message
from taskrunner.service.v1.edge import EdgeParts, V1Edge
from taskrunner.service.v1.route import Route as V1Route
from taskrunner.service.v1.table import ROUTES
from taskrunner.tracing import Span, Tracing
from taskrunner.wire.codec import TARGET_PREFIX, decode_input, encode_output
from taskrunner.wire.faults import BadSerialization, UnknownOperation
from taskrunner.wire.http import HttpRequest

log = get_logger()

T = TypeVar("T")

#: Calls that may take long, and do not change anything: few at once, so that they hold up nobody.
COSTLY = frozenset({"EvaluateExpression", "ValidatePipelineDefinition"})
COSTLY_AT_ONCE, COSTLY_OF_KEY, COSTLY_WAITING = 2, 8, 32
#: A smaller body is checked where it was read: that takes less than a turn of a thread does.
SMALL_BODY = 16 * 1024
#: Whose turn in the pool it is when the edge looks after itself.
_EDGE = ""
#: What is too old is forgotten about once a minute.
_TICKS_TO_FORGET = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """How the edge treats its clients; times in seconds."""

    #: Host names that are answered beside loopback names and addresses.
    host_names: tuple[str, ...] = ()
    #: A little under the 90 s of the API, so that a client whose time-out is just that is answered.
    poll_hold_s: float = 85.0
    body_timeout_s: float = BODY_TIMEOUT_S
    threads: int = 16
    #: The most connections that are held, else what the limit of descriptors allows.
    connections: int | None = None
    #: How often keys are looked at whether they have changed.
    key_check_s: float = 1.0
    #: What opens the metrics to other hosts; None: nothing does.
    metrics_token: str | None = None
    #: What else is looked at then, in a thread.
    refresh: Callable[[], None] = lambda: None
    clock: Clock = field(default_factory=SystemClock)
    #: Who is told of calls, as spans.
    tracing: Tracing = field(default_factory=Tracing)


def create_app(
    service: Service,
    *,
    handlers: Mapping[str, Handler],
    authenticator: Authenticator,
    settings: EdgeSettings | None = None,
    routes: Sequence[Route] = (),
    v1: Sequence[V1Route] = ROUTES,
    pages: Callable[[EdgeParts], Sequence[Route]] = lambda _parts: (),
) -> Starlette:
    """The ASGI application; `app.state.stop()` answers waiting polls, to be called on the loop.

    `v1` is the JSON API of operators, `routes` what is answered beside both, and `pages` makes the
    console's routes of what both are answered with.
    """
    settings = settings or EdgeSettings()
    api = _Api(service, handlers, authenticator, settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        api.start()
        house = asyncio.create_task(api.keep_house())
        yield
        house.cancel()
        with suppress(asyncio.CancelledError):
            await house
        api.close()

    app = Front(
        api,
        routes=[
            *watching.routes(api.watched()),
            *pages(api.parts),
            Route("/v1/{path:path}", endpoint=V1Edge(api.parts, v1)),
            *routes,
        ],
        host_names=settings.host_names,
        lifespan=lifespan,
    )
    app.state.stop = api.stop
    app.state.waiting_polls = lambda: api.polls.waiting
    app.state.connections = api.places
    return app


class _Api:
    """The one route, as an ASGI application."""

    def __init__(
        self,
        service: Service,
        handlers: Mapping[str, Handler],
        authenticator: Authenticator,
        settings: EdgeSettings,
    ) -> None:
        self._service = service
        self._handlers = handlers
        self._authenticator = authenticator
        self._settings = settings
        self._pool = HandlerPool(settings.threads)
        self._replays = Replays(lambda: service.store)
        self._bodies = BodyRoom()
        self._runners = RunnerCalls(service.roster, settings.clock.now)
        self.connections = settings.connections or most_connections()
        #: Who holds them; the server enters and removes each.
        self.places = Connections(self.connections)
        self._is_stopping = False
        self.polls = PollCalls(
            service,
            self._pool,
            self._replays,
            hold_s=settings.poll_hold_s,
            held=HeldPolls(most=self.connections * 3 // 4, most_of_key=self.connections // 2),
            tracing=settings.tracing,
        )
        self._costly = CostlyCalls(
            at_once=COSTLY_AT_ONCE, most_of_key=COSTLY_OF_KEY, most=COSTLY_WAITING
        )
        #: What /v1 and the console are answered with.
        self.parts = EdgeParts(
            service=service,
            authenticator=authenticator,
            pool=self._pool,
            replays=self._replays,
            bodies=self._bodies,
            body_timeout_s=settings.body_timeout_s,
            tracing=settings.tracing,
        )

    def watched(self) -> watching.Watched:
        """What is told to whoever watches the service."""
        edge = Edge(
            polls_open=lambda: self.polls.waiting,
            connections=lambda: self.places.taken,
            connections_limit=self.connections,
        )
        service, clock = self._service, self._settings.clock
        return watching.Watched(
            store=service.store,
            gauges=Gauges(service.store, service.meters, edge, clock),
            stuck=service.stuck,
            is_stopping=lambda: self._is_stopping,
            token=self._settings.metrics_token,
        )

    def stop(self) -> None:
        """Answer waiting polls, and end what else would never end."""
        self._is_stopping = True
        self.polls.close()
        for end in self.parts.at_stop:
            end()

    def start(self) -> None:
        """Be ready for a crowd."""
        self._pool.start()

    def close(self) -> None:
        """Wait for handlers that are at work."""
        self._pool.close()

    async def keep_house(self) -> None:
        """Take note of keys that change, and forget what is too old, until canceled."""
        ticks = 0
        while True:
            await asyncio.sleep(self._settings.key_check_s)
            ticks += 1
            try:
                await self._pool.run(_EDGE, self._settings.refresh)
                await self._pool.run(_EDGE, self._authenticator.refresh)
                self.polls.held.end_those_of_changed_keys(self._authenticator.check_still)
                if ticks % _TICKS_TO_FORGET == 0:
                    now = self._settings.clock.now()
                    await self._pool.run(_EDGE, partial(self._replays.remove_old, now))
            except StoreError:
                continue  # the store has it logged once
            except Exception:
                log.exception("the edge could not look after keys and old calls; it goes on")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = new_request_id()
        call = Incoming(scope, receive, self._bodies)
        try:
            response = await self._respond(call, request_id)
        except ClientGone:
            return
        finally:
            call.body.done()
        connection: EdgeProtocol | None = scope.get(CONNECTION)
        with nullcontext() if connection is None else connection.in_one_piece():
            await response(scope, receive, send)

    async def _respond(self, call: Incoming, request_id: str) -> Reply:
        """The reply. Raises ClientGone, also while the rest of a refused request goes by."""
        begun = self._settings.clock.monotonic()
        try:
            with answering(self._settings.tracing) as span:
                answer = await self._answer(call, request_id, span)
            self._count(call, "OK", begun)
            return json_reply(answer, request_id=request_id)
        except ServiceFault as fault:
            self._count(call, fault.code, begun)
            self._runners.refused(call.sender, fault)
            response = fault_reply(fault, request_id=request_id)
            if not await call.passed_over(fault):
                response.closes = True
            return response

    def _count(self, call: Incoming, code: str, begun: float) -> None:
        named = call.headers.get("x-amz-target", "").partition(".")[2]
        operation = named if named in self._handlers else "other"
        # A poll takes as long as there is no work.
        took = None if operation == POLL else self._settings.clock.monotonic() - begun
        self._service.meters.answered(operation, code, took)

    async def _answer(self, call: Incoming, request_id: str, span: Span) -> bytes:
        headers = call.headers
        operation = _operation(headers, self._handlers)
        name_call(span, operation)
        # Nobody who cannot name a key has us wait for a body, or keep one.
        self._authenticator.check_headers(headers)
        body = await read_body(
            call.receive,
            declared=headers.get("content-length"),
            limit=body_limit(operation),
            body=call.body,
            timeout_s=self._settings.body_timeout_s,
            has_arrived=call.has_arrived,
        )
        try:
            return await self._done(operation, call, call.request(body), span)
        except (ServiceFault, ClientGone):
            raise
        except Exception as error:
            raise fault_of(error, operation=operation, request_id=request_id) from error

    async def _done(
        self, operation: str, call: Incoming, request: HttpRequest, span: Span
    ) -> bytes:
        permit = await self._permit(operation, call, request)
        call.proved()
        if operation == POLL:
            message = await self._at_once_if_small(
                permit.holder, request, lambda: _read(operation, permit, request)
            )
            self._runners.polled(call.sender, message)
            handler = unless_ordered(self._handlers[POLL], call.sender.runner_id(message))
            answer = await self.polls.answer(permit, message, handler, call.receive)
            self._runners.polled(call.sender, message)
            span.is_dropped = True  # it takes as long as there is no work: the hand-out is told
            return answer
        if operation in COSTLY:
            async with self._costly.turn(permit):
                return await self._carried_out(operation, permit, request, span)
        answer = await self._carried_out(operation, permit, request, span)
        self._runners.worked(call.sender, operation)
        return answer

    async def _permit(self, operation: str, call: Incoming, request: HttpRequest) -> Permit:
        def admit() -> Permit:
            permit = self._authenticator.authenticate(request).sent_from(call.address)
            call.sender.permit = permit
            permit.check_action(operation)
            return permit

        # Whose it is, is not known yet.
        return await self._at_once_if_small(f"from {call.body.origin}", request, admit)

    async def _at_once_if_small(
        self, holder: str, request: HttpRequest, call: Callable[[], T]
    ) -> T:
        if len(request.body) <= SMALL_BODY:
            return call()
        return await self._pool.run(holder, call)

    async def _carried_out(
        self, operation: str, permit: Permit, request: HttpRequest, span: Span
    ) -> bytes:
        def work() -> bytes:
            message = _read(operation, permit, request)
            tell_message(span, message)
            return self._carry_out(operation, permit, message)

        return await self._pool.run(permit.holder, work)

    def _carry_out(self, operation: str, permit: Permit, message: Any) -> bytes:
        def work() -> bytes:
            with acting(permit.actor(operation, self._settings.clock.now())):
                reply = self._handlers[operation](self._service, permit.caller, message)
            return encode_output(operation, reply)

        if permit.proof is None:
            return work()
        pipeline_id: str | None = getattr(message, "pipeline_id", None)
        return self._replays.answer(permit.proof, operation, pipeline_id, work)


def _read(operation: str, permit: Permit, request: HttpRequest) -> Any:
    """The typed request. Raises ServiceFault where it has none, or one that is not permitted."""
    message = decode_input(operation, request.body)
    permit.check_request(message)
    check_expressions(message)
    return message


def _operation(headers: Mapping[str, str], handlers: Mapping[str, Handler]) -> str:
    """The operation asked for.

    A content type and a header of its own keep web pages out: a browser asks before it sends them.
    """
    if not headers.get("content-type", "").startswith("application/x-amz-json-1."):
        raise BadSerialization("Content-Type must be application/x-amz-json-1.1")
    # The developer guide's examples write the prefix with an API version.
    prefix, _, operation = headers.get("x-amz-target", "").partition(".")
    if prefix.partition("_")[0] != TARGET_PREFIX or operation not in handlers:
        raise UnknownOperation(
            f"X-Amz-Target must name an operation of {TARGET_PREFIX}, such as "
            f"{TARGET_PREFIX}.ListPipelines"
        )
    return operation
