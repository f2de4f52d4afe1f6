"""A stand-in for EC2's instance metadata service, version 2, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from taskrunner.clock import SystemClock

SPOT = "/latest/meta-data/spot/instance-action"
SCALE_IN = "/latest/meta-data/autoscaling/target-lifecycle-state"
REBALANCE = "/latest/meta-data/events/recommendations/rebalance"
ROLES = "/latest/meta-data/iam/security-credentials/"
DOCUMENT = {
    "accountId": "123456789012",
    "imageId": "ami-5fb8c835",
    "instanceId": "i-1234567890abcdef0",
    "instanceType": "m5.large",
    "privateIp": "10.158.112.84",
    "region": "eu-west-1",
    "version": "2017-09-30",
}
SIGNATURE = "VHJ1c3QgbWUsIEkgYW0gYW4gaW5zdGFuY2U=\nc2lnbmVkIGluIHR3byBsaW5lcw=="


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_args: object) -> None:
        """A client that was killed has hung up."""


class FakeImds:
    """Serves `values` by path to those who hold a token."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.values: dict[str, str] = {
            "/latest/dynamic/instance-identity/document": json.dumps(DOCUMENT, indent=2),
            "/latest/dynamic/instance-identity/signature": SIGNATURE,
            "/latest/meta-data/instance-id": DOCUMENT["instanceId"],
            "/latest/meta-data/local-hostname": "ip-10-158-112-84.eu-west-1.compute.internal",
            "/latest/meta-data/placement/region": DOCUMENT["region"],
            SCALE_IN: "InService",
        }
        #: Every request is answered with 503 while set.
        self.down = False
        self.requests: list[tuple[str, str]] = []
        self._tokens: set[str] = set()
        self._server = _Server((host, port), self._handler())
        address, number = self._server.server_address[:2]
        self.url = f"http://{address!s}:{number}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def announce(self, action: str, at: datetime) -> None:
        """The instance gets a spot interruption notice."""
        time = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.values[SPOT] = json.dumps({"action": action, "time": time})

    def grant(self, key: str, *, expires: datetime, role: str = "worker") -> None:
        """Give the instance's role these credentials."""
        self.values[ROLES] = role
        self.values[ROLES + role] = json.dumps(
            {
                "Code": "Success",
                "LastUpdated": _text(SystemClock().now()),
                "Type": "AWS-HMAC",
                "AccessKeyId": key,
                "SecretAccessKey": f"secret of {key}",
                "Token": f"token of {key}",
                "Expiration": _text(expires),
            }
        )

    def forget_tokens(self) -> None:
        """As after a restart of the service."""
        self._tokens.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, method: str, path: str, headers: Any) -> tuple[int, str]:
        self.requests.append((method, path))
        if self.down:
            return 503, "later"
        if "x-forwarded-for" in headers:
            return 403, "not through a proxy"
        if method == "PUT" and path == "/latest/api/token":
            if not headers.get("x-aws-ec2-metadata-token-ttl-seconds", "").isdigit():
                return 400, "no life is given"
            token = f"token-{len(self.requests)}"
            self._tokens.add(token)
            return 200, token
        if headers.get("x-aws-ec2-metadata-token") not in self._tokens:
            return 401, "no token"
        found = self.values.get(path)
        return (404, "not found") if found is None else (200, found)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        imds = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def _reply(self) -> None:
                status, text = imds._answer(self.command, self.path, self.headers)
                body = text.encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                    self.wfile.flush()
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_GET = do_PUT = _reply  # noqa: N815  names of http.server's

            def log_message(self, *_args: object) -> None:
                """Quiet."""

        return Handler


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def soon(seconds: float) -> datetime:
    """So many seconds from now."""
    return SystemClock().now() + timedelta(seconds=seconds)


@contextmanager
def fake_imds(host: str = "127.0.0.1", port: int = 0) -> Iterator[FakeImds]:
    """A metadata service that ends with the block."""
    imds = FakeImds(host, port)
    try:
        yield imds
    finally:
        imds.close()
