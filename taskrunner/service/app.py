"""The service's edge: one route, the operation named by X-Amz-Target, dispatched by a table.

Handlers are plain synchronous functions and run in a bounded pool of threads. A poll that waits
for work occupies none of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from taskrunner.errors import (
    DefinitionError,
    InternalService,
    InvalidRequest,
    ServiceFault,
    UsageError,
)
from taskrunner.logs import get_logger
from taskrunner.model.task import Task
from taskrunner.service.auth import Authenticator, Permit
from taskrunner.service.bodies import BODY_TIMEOUT_S, ClientGone, body_limit, read_body
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.hosts import HostGuard
from taskrunner.service.polls import Polls
from taskrunner.service.replies import fault_reply, json_reply, new_request_id
from taskrunner.wire.codec import TARGET_PREFIX, decode_input, encode_output
from taskrunner.wire.faults import BadSerialization, UnknownOperation
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.outputs import PollForTaskOutput

log = get_logger()

T = TypeVar("T")

#: (service, caller, typed request) -> typed reply; raises ServiceFault.
Handler = Callable[[Service, Caller, Any], Any]

#: The operation whose handler makes one try; the edge waits and calls it again.
POLL = "PollForTask"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """How the edge treats its clients; times in seconds."""

    #: Host names that are answered beside loopback names and addresses.
    host_names: tuple[str, ...] = ()
    #: A little under the 90 s of the API, so that a client whose time-out is just that is answered.
    poll_hold_s: float = 85.0
    body_timeout_s: float = BODY_TIMEOUT_S
    threads: int = 16


def create_app(
    service: Service,
    *,
    handlers: Mapping[str, Handler],
    authenticator: Authenticator,
    settings: EdgeSettings | None = None,
) -> Starlette:
    """The ASGI application; `app.state.stop()` answers waiting polls, to be called on the loop."""
    settings = settings or EdgeSettings()
    api = _Api(service, handlers, authenticator, settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        api.close()

    app = Starlette(
        routes=[
            Route("/", endpoint=api, methods=["POST"]),
            Route("/livez", endpoint=_alive, methods=["GET"]),
            Route("/ping", endpoint=_alive, methods=["GET"]),
        ],
        middleware=[Middleware(HostGuard, names=settings.host_names)],
        lifespan=lifespan,
    )
    app.state.stop = api.polls.close
    app.state.waiting_polls = lambda: api.polls.waiting
    return app


async def _alive(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


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
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="handler")
        self.polls = Polls(service.work_ready, hold_s=settings.poll_hold_s)

    def close(self) -> None:
        """Wait for handlers that are at work."""
        self._pool.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = new_request_id()
        try:
            body = await self._answer(scope, receive, request_id)
            response = json_reply(body, request_id=request_id)
        except ServiceFault as fault:
            response = fault_reply(fault, request_id=request_id)
        except ClientGone:
            return
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, request_id: str) -> bytes:
        headers = _joined(Headers(scope=scope))
        operation = _operation(headers, self._handlers)
        body = await read_body(
            receive,
            declared=headers.get("content-length"),
            limit=body_limit(operation),
            timeout_s=self._settings.body_timeout_s,
        )
        request = HttpRequest(
            method=scope["method"],
            path=scope.get("raw_path", b"/").decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
        )
        try:
            if operation == POLL:
                return await self._poll(request, receive)
            return await self._in_pool(lambda: self._perform(operation, request))
        except (ServiceFault, ClientGone):
            raise
        except (DefinitionError, UsageError) as error:
            raise InvalidRequest(str(error)) from error
        except Exception as error:
            log.exception("call failed", op=operation, request_id=request_id)
            message = f"The service failed; its log has more under request id {request_id}."
            raise InternalService(message) from error

    def _perform(self, operation: str, request: HttpRequest) -> bytes:
        permit, message = self._admit(operation, request)
        reply = self._handlers[operation](self._service, permit.caller, message)
        return encode_output(operation, reply)

    def _admit(self, operation: str, request: HttpRequest) -> tuple[Permit, Any]:
        permit = self._authenticator.authenticate(request)
        permit.check_action(operation)
        message = decode_input(operation, request.body)
        permit.check_request(message)
        return permit, message

    async def _poll(self, request: HttpRequest, receive: Receive) -> bytes:
        permit, message = await self._in_pool(lambda: self._admit(POLL, request))
        handler, handover = self._handlers[POLL], _Handover()

        def claim() -> PollForTaskOutput | None:
            reply: PollForTaskOutput = handler(self._service, permit.caller, message)
            if reply.task_object is None:
                return None
            if not handover.take(reply.task_object):
                self._service.give_back(reply.task_object, permit.caller)
            return reply

        waiting = asyncio.ensure_future(
            self.polls.wait(
                message.worker_group,
                lambda: self._in_pool(claim),
                account=permit.caller.account,
            )
        )
        try:
            reply = await _unless_gone(waiting, receive)
        except ClientGone:
            if (task := handover.leave()) is not None:
                await self._in_pool(lambda: self._service.give_back(task, permit.caller))
            raise
        return encode_output(POLL, reply or PollForTaskOutput())

    async def _in_pool(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


class _Handover:
    """What one poll was given, in a thread, and whether anybody still waits for it, on the loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = False
        self._task: Task | None = None

    def take(self, task: Task) -> bool:
        """Note a task; false when nobody waits any more."""
        with self._lock:
            self._task = task
            return not self._left

    def leave(self) -> Task | None:
        """Wait no more; returns what was given in vain."""
        with self._lock:
            self._left = True
            return self._task


async def _unless_gone(work: asyncio.Future[T], receive: Receive) -> T:
    """The result of `work`; raises ClientGone, and ends the work, once nobody waits for it."""
    gone: asyncio.Future[Any] = asyncio.ensure_future(receive())
    both: set[asyncio.Future[Any]] = {work, gone}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise ClientGone
        return work.result()
    finally:
        gone.cancel()
        work.cancel()


def _joined(headers: Headers) -> dict[str, str]:
    """Header names in lower case; several of one name joined by commas, as signatures do."""
    joined: dict[str, str] = {}
    for name, value in headers.items():
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


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
