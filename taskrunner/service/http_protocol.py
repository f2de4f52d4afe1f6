"""One HTTP connection: uvicorn's, with an end to everything that a client can be slow with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from taskrunner.service.connections import Connections

#: Where the application finds the connection that a request came by.
CONNECTION = "taskrunner.connection"
#: What may wait behind a request that is being answered: clients of this API do not pipeline.
_MOST_AHEAD = 64 * 1024
_MOST_WAITING = 16
_VERSIONS = frozenset({"1.0", "1.1"})
#: The parser knows no bound for the line and the headers of a request.
_LONGEST_HEAD = 64 * 1024
_LINGER_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long clients are waited for, in seconds."""

    #: From the connection, or the first byte of a further request, to the end of its headers.
    headers_s: float = 10.0
    #: For a reply to be taken off the connection.
    reply_s: float = 30.0
    #: From the connection to the end of TLS's own beginning.
    handshake_s: float = 10.0


class _HeldTransport:
    """A transport that can be told to keep what is written for a moment.

    A reply comes in two pieces, head and body. Sent apart they are two packets, each of which wakes
    the client.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._kept: list[bytes] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def hold(self) -> None:
        """Send nothing for now."""
        self._kept = []

    def release(self) -> None:
        """Send what was written meanwhile."""
        kept, self._kept = self._kept, None
        if kept:
            self._transport.write(b"".join(kept))

    def write(self, data: bytes) -> None:
        """Send it, now or with the rest."""
        if self._kept is None:
            self._transport.write(data)
        else:
            self._kept.append(data)

    def close(self) -> None:
        """Send all, then close."""
        self.release()
        self._transport.close()


class EdgeProtocol(HttpToolsProtocol):
    """A connection with a place among `Connections`, and with deadlines."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        *,
        connections: Connections,
        origin: str,
        patience: Patience,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._application: ASGIApp = self.app
        self.app = self._with_connection
        self._places, self._origin, self._patience = connections, origin, patience
        self._waiting_for_headers: asyncio.TimerHandle | None = None
        self._waiting_for_reader: asyncio.TimerHandle | None = None
        self._closed = False
        #: Whether the line and the headers of a request have begun and not ended; the first one's
        #: begin with the connection. And the same of its body.
        self._in_head, self._in_body = True, False
        self._head_size = 0
        #: Bytes that have come behind a request that is whole, and is being answered.
        self.ahead = 0
        #: What makes the connection, until it is made.
        self.opening: asyncio.Task[None] | None = None
        self.is_made = False
        self._places.enter(self, origin)

    async def _with_connection(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[CONNECTION] = self
        await self._application(scope, receive, send)

    @property
    def has_whole_request(self) -> bool:
        """Whether of no request on the connection anything is still to come."""
        return not (self._in_head or self._in_body)

    @contextmanager
    def in_one_piece(self) -> Iterator[None]:
        """What is sent in the block goes out at its end: head and body of a reply in one packet."""
        held = self._held
        held.hold()
        try:
            yield
        finally:
            held.release()

    # -- what the application and the places say ------------------------------------------------

    def proved(self) -> None:
        """The present request is from the holder of a key: it is answered, come what may."""
        if not self._closed:
            self._places.busy(self, self._origin)

    def close_now(self) -> None:
        """Close without a word; before the connection is made too."""
        self._closed = True
        if self.opening is not None:
            self.opening.cancel()
        if self.transport is not None:
            self.transport.abort()

    def give_up(self) -> None:
        """Free the place of a connection that could not be made."""
        self._places.leave(self, self._origin)

    # -- asyncio ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for headers."""
        self._held = _HeldTransport(transport)
        super().connection_made(self._held)  # type: ignore[arg-type]
        self.is_made = True
        if self._closed:
            transport.abort()
            return
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the place."""
        self._closed = True
        self._headers_came()
        self._reader_came()
        self._places.leave(self, self._origin)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Have headers that were begun end in time."""
        if self._at_work and not self._in_body:
            self.ahead += len(data)
        self._head_size += len(data)
        if self.ahead > _MOST_AHEAD:
            self.close_now()
            return
        super().data_received(data)
        if self._in_head and self._head_size > _LONGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")
        if self.cycle is not None and self.parser is not None and self.parser.should_upgrade():
            # Nothing that follows would be read: the parser takes it for another protocol.
            self.cycle.keep_alive = False
        self._look()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._head_size = True, 0

    def on_headers_complete(self) -> None:
        """Its head has come. What is raised here is answered with 400."""
        if self.parser.get_http_version() not in _VERSIONS:
            raise ValueError("wanted HTTP/1.1 or HTTP/1.0")
        if not self.url.startswith(b"/"):
            raise ValueError("wanted a path: we are nobody's proxy")
        self._in_head, self._in_body = False, True
        if len(self.pipeline) < _MOST_WAITING:
            super().on_headers_complete()
        else:
            self.close_now()

    def on_message_complete(self) -> None:
        """All of it has."""
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The connection is idle again."""
        super().on_response_complete()
        if self._closed:
            return
        self._places.idle(self, self._origin)
        if not self._at_work:
            self.ahead = 0
        if self.transport.is_closing():
            self._limit_reader()
        elif self._in_body and not self._at_work:
            # Answered amid a body: who sends it is to see that, but not to go on for ever.
            self.loop.call_later(_LINGER_S, self.close_now)
        if self._in_head:
            self._await_headers()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and do not wait long until that is read."""
        super().send_400_response(msg)
        self._limit_reader()

    def pause_writing(self) -> None:
        """The client does not take its reply: not for ever."""
        super().pause_writing()
        self._limit_reader()

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        self._reader_came()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, even when a reply still waits to be taken."""
        super().timeout_keep_alive_handler()
        self._limit_reader()

    # -- deadlines --------------------------------------------------------------------------------

    @property
    def _at_work(self) -> bool:
        """Whether a request is being answered, or waits for that."""
        return self.cycle is not None and not (self.cycle.response_complete and not self.pipeline)

    def _look(self) -> None:
        """Wait for headers where anything has come of them, no more where they are complete.

        Blank lines before them are of them too: they end the time that a connection may be idle.
        """
        if self._in_head or not self._at_work:
            self._await_headers()
        else:
            self._headers_came()

    def _await_headers(self) -> None:
        if self._waiting_for_headers is None and not self._closed:
            wait_s = self._patience.headers_s
            self._waiting_for_headers = self.loop.call_later(wait_s, self.close_now)

    def _headers_came(self) -> None:
        if self._waiting_for_headers is not None:
            self._waiting_for_headers.cancel()
            self._waiting_for_headers = None

    def _limit_reader(self) -> None:
        if self._waiting_for_reader is None and not self._closed:
            self._waiting_for_reader = self.loop.call_later(self._patience.reply_s, self.close_now)

    def _reader_came(self) -> None:
        if self._waiting_for_reader is not None:
            self._waiting_for_reader.cancel()
            self._waiting_for_reader = None
