"""Servers that answer each request with the same refusal: of the service, of S3, of STS."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from taskrunner.clock import SystemClock

__all__ = ["denying_s3", "denying_sts", "refusing_service"]


@contextmanager
def _served(status: int, kind: str, body: bytes, ahead: timedelta) -> Iterator[str]:
    clock = SystemClock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            if self.headers.get("Expect") == "100-continue":
                self.close_connection = True  # whoever asks first need not send the body
            else:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response_only(status)
            self.send_header("Date", format_datetime(clock.now() + ahead, usegmt=True))
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815  the base looks for them

        def handle_expect_100(self) -> bool:
            return True

        def log_message(self, *_args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def refusing_service(code: str, message: str, *, ahead: timedelta = timedelta(0)) -> Iterator[str]:
    """The service's URL; its clock is `ahead` of ours."""
    body = json.dumps({"__type": code, "message": message}).encode()
    with _served(400, "application/x-amz-json-1.1", body, ahead) as url:
        yield url


@contextmanager
def denying_s3() -> Iterator[str]:
    """An S3 that knows who calls and lets him do nothing."""
    body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    with _served(403, "application/xml", body, timedelta(0)) as url:
        yield url


@contextmanager
def denying_sts() -> Iterator[str]:
    """An STS that lets nobody assume a role."""
    body = (
        b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized"
        b" to perform: sts:AssumeRole</Message></Error></ErrorResponse>"
    )
    with _served(403, "text/xml", body, timedelta(0)) as url:
        yield url
