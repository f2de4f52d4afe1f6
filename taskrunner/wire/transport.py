"""Requests over urllib3, each within one deadline: connecting, sending, waiting and every byte.

A time-out of the HTTP library holds for each read: a peer that sends a byte now and then, or a
proxy that stalls in a body, holds such a client for ever. Here every read gets what is left.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    SSLError,
)
from urllib3.exceptions import (
    TimeoutError as Urllib3TimeoutError,
)

from taskrunner.clock import Clock
from taskrunner.errors import ConfigError
from taskrunner.wire.addresses import connect_to_one
from taskrunner.wire.endpoint import Endpoint
from taskrunner.wire.http import GivenUp, HttpReply, HttpRequest, TransportError
from taskrunner.wire.proxies import proxy_of

#: A task of 100 objects of 15 KB is 1.5 MB; nothing honest is near this.
MAX_REPLY_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_CONNECT_S = 10.0
#: Idle polls through a NAT gateway that forgets after a minute; and dead peers show up early.
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """How to get out of this host."""

    #: A file of certificates to trust; None: AWS_CA_BUNDLE, else the system's.
    ca_bundle: Path | None = None
    #: Connections kept open; one a poll and some for reports.
    connections: int = 32
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


class _Call:
    """A call under way, which another thread may end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self.given_up = False

    def uses(self, sock: object) -> None:
        """The call is about to wait for this socket; raises GivenUp when it is not to."""
        with self._lock:
            if self.given_up:
                raise GivenUp("given up")
            # TLS within a proxy's TLS is no socket: such a call ends when the peer answers.
            self._sock = sock if isinstance(sock, socket.socket) else None

    def has_ended(self) -> None:
        """Whoever gets the connection next is not to be disturbed."""
        with self._lock:
            self._sock = None

    def give_up(self) -> None:
        """Wake the call's thread out of its wait, with an end of the connection."""
        with self._lock:
            self.given_up = True
            if self._sock is not None:
                with contextlib.suppress(OSError):
                    # Not SSLSocket's own, which takes the session away from the reading thread.
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


class _Deadline(threading.local):
    """The call that this thread is in, and its deadline; connections move between threads."""

    clock: Clock | None = None
    at = 0.0
    call: _Call | None = None

    def uses(self, sock: object) -> None:
        if self.call is not None:
            self.call.uses(sock)

    def left(self) -> float:
        if self.clock is None:
            return _CONNECT_S
        left = self.at - self.clock.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


_DEADLINE = _Deadline()


class _TimedReader(io.RawIOBase):
    """Reads from a socket, each time with the time that is left."""

    def __init__(self, sock: socket.socket, flush: Callable[[], None]) -> None:
        """`flush` sends what is still to be said before an answer is waited for."""
        self._sock = sock
        self._flush = flush
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._flush()
        _DEADLINE.uses(self._sock)
        self._sock.settimeout(_DEADLINE.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedSocket:
    """A connected socket whose sends and reads end at the deadline of the thread's call.

    Head and body of a request go out together: apart they are two packets, and wake the other side
    twice.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unsent = bytearray()

    def makefile(self, *_args: Any, **_kwargs: Any) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock, self._flush))

    def sendall(self, data: Any) -> None:
        self._unsent += data
        if len(self._unsent) >= _CHUNK_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._unsent:
            data, self._unsent = self._unsent, bytearray()
            _DEADLINE.uses(self._sock)
            self._sock.settimeout(_DEADLINE.left())
            self._sock.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def _connected(connection: HTTPConnection) -> socket.socket:
    """What the library's own `_new_conn` gives and raises, but within the call's deadline."""
    try:
        return connect_to_one(
            connection._dns_host,
            connection.port,
            left=_before_an_address,
            most_s=_CONNECT_S,
            options=_KEEPALIVE,
            look_up=socket.getaddrinfo,
        )
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, "no address answered in time") from error
    except OSError as error:
        raise NewConnectionError(connection, f"no connection: {error}") from error


def _before_an_address() -> float:
    left_s = _DEADLINE.left()
    _DEADLINE.uses(None)  # nobody connects for a call that has been given up
    return left_s


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self)

    def connect(self) -> None:
        super().connect()
        self.sock = cast("socket.socket", _TimedSocket(cast("socket.socket", self.sock)))


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self)

    def connect(self) -> None:
        super().connect()
        self.sock = cast("ssl.SSLSocket", _TimedSocket(self.sock))


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Urllib3Transport:
    """Carries requests to one endpoint; safe for threads."""

    def __init__(
        self, endpoint: Endpoint, clock: Clock, settings: TransportSettings | None = None
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._manager = _manager(endpoint, settings or TransportSettings())
        #: The endpoint's own connections; None: there have been none yet.
        self._pool: HTTPConnectionPool | None = None
        #: By the thread that is in it.
        self._calls: dict[int, _Call] = {}

    def send(self, request: HttpRequest, *, deadline_s: float) -> HttpReply:
        """The reply, all of it, within `deadline_s` seconds; raises TransportError."""
        _DEADLINE.clock = self._clock
        _DEADLINE.at = self._clock.monotonic() + deadline_s
        call = _DEADLINE.call = self._calls[threading.get_ident()] = _Call()
        try:
            return self._exchange(request, deadline_s)
        # urllib3 takes some nonsense, as a chunk of less than nothing, for its caller's mistake.
        except (HTTPError, OSError, ValueError) as error:
            if call.given_up:
                raise GivenUp("given up") from error
            raise TransportError(_reason(error, deadline_s)) from error
        finally:
            call.has_ended()
            del self._calls[threading.get_ident()]

    def give_up(self, thread: int) -> None:
        """Have the call that this thread is in, if it is in one, raise GivenUp."""
        if call := self._calls.get(thread):
            call.give_up()

    def close(self) -> None:
        """Close the connections that no call is using."""
        self._pool = None
        self._manager.clear()

    def _carrier(self) -> urllib3.PoolManager | HTTPConnectionPool:
        """What carries requests: the endpoint's pool, which the manager looks for at each call.

        Through a proxy it is the manager's to say what is asked of whom.
        """
        if self._manager.proxy is not None:
            return self._manager
        if self._pool is None:
            where = self._endpoint
            self._pool = self._manager.connection_from_host(where.host, where.port, where.scheme)
        return self._pool

    def _exchange(self, request: HttpRequest, deadline_s: float) -> HttpReply:
        endpoint = self._endpoint
        target = f"{request.path}?{request.query}" if request.query else request.path
        carrier, url = self._carrier(), target
        if carrier is self._manager:
            url = f"{endpoint.scheme}://{endpoint.authority}{target}"
        reply = carrier.urlopen(
            request.method,
            url,
            body=request.body,
            headers=dict(request.headers),
            timeout=urllib3.Timeout(connect=min(_CONNECT_S, deadline_s), read=deadline_s),
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            body = _read(cast("urllib3.HTTPResponse", reply))
        except BaseException:
            reply.close()
            raise
        if _DEADLINE.call is not None:
            _DEADLINE.call.has_ended()
        reply.release_conn()
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return HttpReply(status=reply.status, headers=headers, body=body)


def _read(reply: urllib3.HTTPResponse) -> bytes:
    body = bytearray()
    while chunk := reply.read(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            raise TransportError(f"the reply is larger than {MAX_REPLY_BYTES >> 20} MB")
    return bytes(body)


def _manager(endpoint: Endpoint, settings: TransportSettings) -> urllib3.PoolManager:
    options: dict[str, Any] = {
        "num_pools": 2,
        "maxsize": settings.connections,
        "retries": False,
    }
    if endpoint.scheme == "https":
        options["ssl_context"] = _tls(settings)
    proxy = proxy_of(endpoint, settings.environ)
    manager = (
        # It takes no login from the URL.
        urllib3.ProxyManager(proxy.url, proxy_headers=dict(proxy.headers), **options)
        if proxy
        else urllib3.PoolManager(**options)
    )
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager


def _tls(settings: TransportSettings) -> ssl.SSLContext:
    bundle = settings.ca_bundle or settings.environ.get("AWS_CA_BUNDLE")
    try:
        context = ssl.create_default_context(cafile=str(bundle) if bundle else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the certificates in {bundle} cannot be used: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _reason(error: BaseException, deadline_s: float) -> str:
    """A few words on what happened, by the error's type."""
    if isinstance(error, ProxyError):
        return _proxy_reason(error.original_error, deadline_s)
    if isinstance(error, SSLError | ssl.SSLError):
        return _tls_reason(error)
    if isinstance(error, NewConnectionError) and isinstance(error.__cause__, OSError):
        error = error.__cause__
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), None)
    strerror = error.strerror if isinstance(error, OSError) else None
    return (words or strerror or type(error).__name__).format(deadline_s=deadline_s).lower()


def _tls_reason(error: BaseException) -> str:
    """What failed, in words for who has not seen OpenSSL's, and what to set."""
    cause: object = error
    while isinstance(cause, SSLError) and cause.args:
        cause = cause.args[-1]
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"TLS failed: certificate verify failed: {cause.verify_message}"
        return text + _CERTIFICATE_HINTS.get(cause.verify_code, _OTHER_AUTHORITY)
    if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
        return "TLS failed: what listens there does not speak it; is the endpoint http://?"
    return f"TLS failed: {error}"


def _proxy_reason(error: Exception, deadline_s: float) -> str:
    # http.client says what the proxy answered in an OSError that carries nothing but this text.
    if type(error) is OSError and error.errno is None:
        return f"the proxy refused: {error}"
    return f"the proxy cannot be reached: {_reason(error, deadline_s)}"


_OTHER_AUTHORITY = "; set ca_bundle to the certificate of the authority that issued it"
_TIME = " (or this host's clock is wrong)"
#: By OpenSSL's number: not yet valid, expired, another host name, another address.
_CERTIFICATE_HINTS = {9: _TIME, 10: _TIME, 62: "", 64: ""}
#: The first that fits counts: some derive from others.
_WORDS: Sequence[tuple[type[BaseException], str]] = (
    (NameResolutionError, "its name cannot be resolved"),
    (NewConnectionError, "no connection could be made"),
    (Urllib3TimeoutError, "no whole answer within {deadline_s:.0f} s"),
    (TimeoutError, "no whole answer within {deadline_s:.0f} s"),
    (ProtocolError, "the connection was cut before the whole answer came"),
    (ValueError, "its answer is not HTTP"),
)
