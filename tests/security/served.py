"""The real service with keys, in this process, and requests for it as bytes."""

from __future__ import annotations

import json
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from taskrunner.clock import SystemClock
from taskrunner.service.app import EdgeSettings, create_app
from taskrunner.service.auth import SigV4Authenticator
from taskrunner.service.auth_keys import ROLES, Key
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.http_protocol import Patience
from taskrunner.service.server import Address, ServiceServer, bind
from taskrunner.testing import ServiceInProcess
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.keys import FixedKeys, Keys
from taskrunner.wire.signing import SigV4Signer

KEY = Key(
    id="AKADMIN",
    secret="admin-of-16-letters-and-more",
    user="admin",
    account=ANONYMOUS.account,
    actions=ROLES["admin"],
)
#: What is not whole is not waited for: no test has to.
_PATIENCE = Patience(headers_s=0.5, reply_s=5)
_EDGE = EdgeSettings(body_timeout_s=0.5, poll_hold_s=0.01)
_LONG_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A request as it is sent; `cut`: and then nothing more will come."""

    line: bytes = b"POST / HTTP/1.1"
    headers: tuple[bytes, ...] = ()
    body: bytes = b""
    cut: bool = False
    #: In place of all that.
    other: bytes | None = field(default=None)

    def data(self) -> bytes:
        if self.other is not None:
            return self.other
        return b"\r\n".join([self.line, *self.headers, b"", b""]) + self.body

    def without(self, *names: str) -> Raw:
        gone = tuple(name.encode() + b":" for name in names)
        return replace(self, headers=tuple(h for h in self.headers if not h.startswith(gone)))

    def having(self, *headers: bytes) -> Raw:
        """The same with these at the end, in place of those of their names."""
        names = [header.partition(b":")[0].decode("latin-1") for header in headers]
        return replace(self, headers=(*self.without(*names).headers, *headers))

    def adding(self, *headers: bytes) -> Raw:
        return replace(self, headers=(*self.headers, *headers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The service, and how it is asked."""

    address: tuple[str, int]

    def signed(
        self,
        operation: str,
        body: object,
        *,
        key: Key = KEY,
        region: str = "us-east-1",
        clock: SystemClock | None = None,
        unsigned: Mapping[str, str] | None = None,
    ) -> Raw:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {
            "host": f"{self.address[0]}:{self.address[1]}",
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"DataPipeline.{operation}",
            "content-length": str(len(raw)),
        }
        signer = SigV4Signer(FixedKeys(Keys(key.id, key.secret)), region, clock or SystemClock())
        made = {**signer.sign(HttpRequest(headers=headers, body=raw)), **(unsigned or {})}
        lines = tuple(f"{name}: {value}".encode() for name, value in made.items())
        return Raw(headers=lines, body=raw)

    def create(self) -> Raw:
        """A request that is right, and makes a pipeline."""
        name = uuid.uuid4().hex
        return self.signed("CreatePipeline", {"name": name, "uniqueId": name})

    def pipelines(self) -> list[str]:
        """The names of all pipelines."""
        found: list[str] = []
        body: dict[str, str] = {}
        while True:
            page = self.asked("ListPipelines", body)
            found += [item["name"] for item in page["pipelineIdList"]]
            if not page["hasMoreResults"]:
                return found
            body = {"marker": page["marker"]}

    def asked(self, operation: str, body: object) -> Any:
        status, reply = self.sent(self.signed(operation, body))
        assert status == 200, reply
        return json.loads(reply)

    def sent(self, raw: Raw) -> tuple[int | None, bytes]:
        """Status and body of the reply; None: the connection was closed without one."""
        with socket.create_connection(self.address, timeout=_LONG_S) as sock:
            with suppress(ConnectionError):  # it is answered, and closed, before all is sent
                sock.sendall(raw.data())
                if raw.cut:
                    sock.shutdown(socket.SHUT_WR)
            return _reply(sock)


def _reply(sock: socket.socket) -> tuple[int | None, bytes]:
    data = b""
    while not _is_whole(data):
        try:
            part = sock.recv(65536)
        except ConnectionError:
            part = b""
        if not part:
            break
        data += part
    if not data:
        return None, b""
    assert data.startswith(b"HTTP/1.1 "), data[:100]
    # What follows the first reply answers what a malformed request has left behind it.
    return int(data.split(b" ", 2)[1]), data.partition(b"\r\n\r\n")[2][: _length(data)]


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    length = _length(head)
    return bool(end) and length is not None and len(body) >= length


def _length(data: bytes) -> int | None:
    head = data.partition(b"\r\n\r\n")[0].lower()
    sizes = [line for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
    return int(sizes[0].partition(b":")[2]) if sizes else None


@contextmanager
def served() -> Iterator[Served]:
    """The service on a port of this host, until the block ends."""
    with ServiceInProcess() as world:
        app = create_app(
            world.service,
            handlers=HANDLERS,
            authenticator=SigV4Authenticator(
                {KEY.id: KEY}, region="us-east-1", clock=SystemClock()
            ),
            settings=_EDGE,
        )
        sock = bind(Address(host="127.0.0.1", port=0))
        server = ServiceServer(app, sock, patience=_PATIENCE)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield Served(address=sock.getsockname())
        finally:
            server.stop()
            thread.join()
