"""A line to an S3 server on which a test may change what goes up and what comes down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from taskrunner.clock import SystemClock
from taskrunner.data.objects.s3_client import create_client
from taskrunner.data.settings import DataSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_HOPS = {"connection", "transfer-encoding", "content-length", "date", "server"}


@dataclass(slots=True)
class Request:
    """What the client sends."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        """Bucket and key."""
        return urlsplit(self.path).path.lstrip("/")

    @property
    def query(self) -> dict[str, str]:
        """The parameters behind the question mark."""
        found = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        return {name: values[0] for name, values in found.items()}

    @property
    def call(self) -> str:
        """What S3 calls it, for the calls that matter here."""
        query = self.query
        names = {
            "GET": "ListParts" if "uploadId" in query else "GetObject",
            "HEAD": "HeadObject",
            "PUT": "UploadPart" if "partNumber" in query else "PutObject",
            "POST": "CreateMultipartUpload" if "uploads" in query else "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload" if "uploadId" in query else "DeleteObject",
        }
        if self.method == "GET" and "/" not in self.key.strip("/"):
            return "ListMultipartUploads" if "uploads" in query else "ListObjects"
        return names[self.method]


@dataclass(slots=True)
class Reply:
    """What the server answers."""

    status: int
    headers: dict[str, str]
    body: bytes
    #: How it says where the body ends: `length`, `chunks`, or `close` (by hanging up).
    ends: str = "length"
    #: Hang up without a word.
    lost: bool = False


@dataclass(slots=True)
class S3Line:
    """The functions may change what they are given; `up` may answer in the server's place."""

    url: str = ""
    up: Callable[[Request], Reply | None] = lambda _request: None
    down: Callable[[Request, Reply], None] = lambda _request, _reply: None
    calls: list[Request] = field(default_factory=list)

    def reset(self) -> None:
        """Change nothing from here on, and forget what was asked."""
        fresh = S3Line()
        self.up, self.down, self.calls = fresh.up, fresh.down, []

    def count(self, call: str) -> int:
        """How often something was asked."""
        return sum(request.call == call for request in self.calls)


@contextmanager
def s3_line(upstream: str) -> Iterator[S3Line]:
    """A line to the server at `upstream`, until the block ends."""
    line = S3Line()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(line, upstream))
    server.daemon_threads = True
    line.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield line
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(line: S3Line, upstream: str) -> type[BaseHTTPRequestHandler]:
    place = urlsplit(upstream).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def handle(self) -> None:
            with suppress(OSError):  # a client that hangs up
                super().handle()

        def answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            request = Request(
                self.command, self.path, dict(self.headers.items()), self.rfile.read(size)
            )
            line.calls.append(request)
            reply = line.up(request) or forwarded(place, request)
            line.down(request, reply)
            with suppress(OSError):
                self.send(reply)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815  the base's names

        def send(self, reply: Reply) -> None:
            if reply.lost:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.ends == "chunks":
                self.send_header("Transfer-Encoding", "chunked")
            elif reply.ends == "close":
                self.send_header("Connection", "close")
                self.close_connection = True
            elif self.command != "HEAD":
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            body = reply.body
            if reply.ends == "chunks":
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, *_args: Any) -> None:
            """Quiet."""

    return Handler


def forwarded(place: str, request: Request) -> Reply:
    """The server's own answer."""
    upstream = HTTPConnection(place, timeout=60)
    try:
        leave = {"content-length", "expect", "connection"}
        headers = {n: v for n, v in request.headers.items() if n.lower() not in leave}
        headers["Content-Length"] = str(len(request.body))
        upstream.request(request.method, request.path, request.body, headers)
        answer = upstream.getresponse()
        body = answer.read()
        kept = {n: v for n, v in answer.getheaders() if n.lower() not in _HOPS}
        if request.method == "HEAD":
            kept["Content-Length"] = answer.getheader("Content-Length") or "0"
        return Reply(answer.status, kept, body)
    finally:
        upstream.close()


class NoWait(SystemClock):
    """On which waiting takes no time."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.is_set()


@cache
def connected(url: str) -> S3Client:
    """A client of ours; to make one takes longer than most tests."""
    return create_client(DataSettings(s3_endpoint=url), tries=2)
