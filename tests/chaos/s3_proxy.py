"""A proxy before an S3 server that spoils a share of the uploads, and counts how."""

from __future__ import annotations

import collections
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

__all__ = ["S3Fault", "S3Proxy", "s3_proxy"]

_CHUNK = 1 << 18
_RESET = struct.pack("ii", 1, 0)
_HOPS = {"connection", "transfer-encoding", "content-length", "date", "server"}


class S3Fault(StrEnum):
    """What befalls a PUT."""

    RESET = "reset"  # somewhere in the body; the store hears nothing
    CUT = "cut"  # the store gets half of the body, then the end of the connection
    DROP_REPLY = "drop_reply"  # the store has it, and the sender is not told
    SHORTEN = "shorten"  # the store gets half of the body for the whole, and says that all is well


#: Those that a sender can see.
SEEN = (S3Fault.RESET, S3Fault.CUT, S3Fault.DROP_REPLY)


@dataclass(slots=True)
class S3Proxy:
    """How much of what is spoilt; may be changed at any time.

    Where a share is, the first is in any case: a few are enough to show it.
    """

    upstream: str
    chance: random.Random
    url: str = ""
    share: float = 0.0
    faults: tuple[S3Fault, ...] = SEEN
    #: How often more; None: without end.
    times: int | None = None
    puts: int = 0
    fired: collections.Counter[S3Fault] = field(default_factory=collections.Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def strike(self) -> S3Fault | None:
        """What befalls the next PUT."""
        with self.lock:
            self.puts += 1
            if self.times == 0 or not self._is_struck():
                return None
            if self.times is not None:
                self.times -= 1
            fault = self.chance.choice(self.faults)
            self.fired[fault] += 1
            return fault

    def _is_struck(self) -> bool:
        is_first = self.share > 0 and not self.fired
        return is_first or self.chance.random() < self.share


@contextmanager
def s3_proxy(upstream: str, chance: random.Random) -> Iterator[S3Proxy]:
    """The proxy on loopback until the block ends."""
    proxy = S3Proxy(upstream, chance)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(proxy: S3Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_PUT(self) -> None:
            body = self._body(fault := proxy.strike())
            if body is None or fault is S3Fault.RESET:
                return self._reset()
            if fault is S3Fault.SHORTEN:
                body = body[: len(body) // 2]
            with suppress(OSError):
                self._answer(body, length=len(body), cut=fault is S3Fault.CUT, fault=fault)
            return None

        def do_POST(self) -> None:
            body = self._body(None) or b""
            self._answer(body, length=len(body))

        do_GET = do_HEAD = do_DELETE = do_POST  # noqa: N815  the base class looks for these names

        def _body(self, fault: S3Fault | None) -> bytes | None:
            size = int(self.headers.get("Content-Length", 0))
            wanted = proxy.chance.randrange(size + 1) if fault is S3Fault.RESET else size
            data = bytearray()
            while len(data) < wanted and (
                piece := self.rfile.read(min(wanted - len(data), _CHUNK))
            ):
                data += piece
            return bytes(data) if len(data) == wanted else None

        def _answer(
            self, body: bytes, *, length: int, cut: bool = False, fault: S3Fault | None = None
        ) -> None:
            upstream = HTTPConnection(urlsplit(proxy.upstream).netloc, timeout=60)
            try:
                self._forward(upstream, body[: length // 2] if cut else body, length)
                if cut:
                    return self._reset()
                reply = upstream.getresponse()
                data = b"" if self.command == "HEAD" else reply.read()
                if fault is S3Fault.DROP_REPLY:
                    return self._reset()
                self._relay(reply, data)
            finally:
                upstream.close()

        def _forward(self, upstream: HTTPConnection, body: bytes, length: int) -> None:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"content-length", "expect", "connection"}:
                    upstream.putheader(name, value)
            upstream.putheader("Content-Length", str(length))
            upstream.endheaders()
            upstream.send(body)

        def _relay(self, reply: HTTPResponse, data: bytes) -> None:
            self.send_response(reply.status)
            for name, value in reply.getheaders():
                if name.lower() not in _HOPS:
                    self.send_header(name, value)
            size = reply.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", size or str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()

        def _reset(self) -> None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self.connection.shutdown(socket.SHUT_RD)
                self.connection.close()

        def log_message(self, *_args: object) -> None:
            """Quiet."""

    return Handler
