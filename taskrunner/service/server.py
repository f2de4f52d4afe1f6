"""The HTTP server around the application: bound before it starts, stopped from anywhere."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette

from taskrunner.errors import TaskrunnerError, UsageError
from taskrunner.service.acceptor import Acceptor
from taskrunner.service.connections import Connections
from taskrunner.service.http_protocol import EdgeProtocol, Patience
from taskrunner.service.tls import Certificate

#: Longer than the minute between an agent's reports, so that they share a connection.
_KEEP_ALIVE_S = 75
_GRACE_S = 10
_BACKLOG = 2048
#: What clients can cause the HTTP library to warn of is told once in this time.
_WARN_AGAIN_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Of HOST:PORT, [IPv6]:PORT or :PORT (every interface). Raises UsageError."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 65535:
            raise UsageError(f"--listen {text!r}: wanted HOST:PORT, such as 127.0.0.1:8484")
        return cls(host=host.removeprefix("[").removesuffix("]") or "0.0.0.0", port=int(port))  # noqa: S104

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def bind(address: Address) -> socket.socket:
    """A listening socket. Raises TaskrunnerError when the address cannot be had."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        reason = error.strerror or "unknown host"
        raise TaskrunnerError(f"cannot listen on {address}: {reason.lower()}") from None
    # asyncio sends without Nagle's delay (40 ms a reply) only where the protocol is named.
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target)
        # From here on the port is ours, and callers are not turned away while we start.
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise TaskrunnerError(f"cannot listen on {address}: {_words(error)}") from None
    return sock


def url_of(sock: socket.socket, *, secured: bool = False) -> str:
    """The endpoint of a socket for clients."""
    host, port = sock.getsockname()[:2]
    return f"{'https' if secured else 'http'}://{Address(host=host, port=port)}"


def _words(error: OSError) -> str:
    known = {
        errno.EADDRINUSE: "the port is in use by another program; choose another with --listen",
        errno.EACCES: "the port is reserved for root; choose one above 1023",
        errno.EADDRNOTAVAIL: "this host has no such address",
    }
    return known.get(error.errno or 0, (error.strerror or str(error)).lower())


class ServiceServer:
    """Serves an application of `create_app` on a bound socket."""

    def __init__(
        self,
        app: Starlette,
        sock: socket.socket,
        *,
        patience: Patience | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self._sock, self._secured = sock, certificate is not None
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on",
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
            server_header=False,
            # Who a client is, is the address that it connects from: a header can say anything.
            proxy_headers=False,
            ws="none",
        )
        places: Connections = app.state.connections
        self._server = _Server(config, app, places, patience or Patience(), certificate)

    @property
    def url(self) -> str:
        """The endpoint for clients."""
        return url_of(self._sock, secured=self._secured)

    def run(self) -> None:
        """Serve until stopped; waiting polls are answered, calls in progress finish."""
        library, quiet = logging.getLogger("uvicorn.error"), _WarningsOnce()
        library.addFilter(quiet)
        try:
            self._server.run(sockets=[self._sock])
        finally:
            library.removeFilter(quiet)
            self._sock.close()

    def stop(self) -> None:
        """Have `run` return soon; a second time, at once. From any thread or signal handler."""
        self._server.force_exit = self._server.should_exit
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn's, with connections of our own taking."""

    def __init__(
        self,
        config: uvicorn.Config,
        app: Starlette,
        places: Connections,
        patience: Patience,
        certificate: Certificate | None,
    ) -> None:
        super().__init__(config)
        self._app, self._certificate = app, certificate
        self._places, self._patience = places, patience
        self._acceptors: list[Acceptor] = []

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        """Leave signals to the command line."""
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then take connections."""
        await super().startup(sockets=[])
        self._acceptors = [
            Acceptor(sock, self._places, self._protocol, self._secured) for sock in sockets or []
        ]
        for acceptor in self._acceptors:
            acceptor.start()

    def _secured(self) -> Mapping[str, Any]:
        """What a new connection is secured by, as asyncio takes it."""
        if self._certificate is None:
            return {}
        return {
            "ssl": self._certificate.context,
            "ssl_handshake_timeout": self._patience.handshake_s,
        }

    def _protocol(self, origin: str) -> EdgeProtocol:
        return EdgeProtocol(
            self.config,
            self.server_state,
            self.lifespan.state,
            connections=self._places,
            origin=origin,
            patience=self._patience,
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer waiting polls first: they would hold the end up for a minute and a half."""
        for acceptor in self._acceptors:
            acceptor.stop()
        self._app.state.stop()
        await super().shutdown(sockets)


class _WarningsOnce(logging.Filter):
    """Lets a warning through once in a while: its cause is what strangers send."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        if record.levelno != logging.WARNING:
            return True
        now = record.created
        before = self._told.get(str(record.msg))
        if before is not None and now - before < _WARN_AGAIN_S:
            return False
        self._told[str(record.msg)] = now
        return True
