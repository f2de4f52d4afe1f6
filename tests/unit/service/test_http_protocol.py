"""The deadlines of connections, over real ones of this process."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from taskrunner.service.acceptor import Acceptor
from taskrunner.service.app import create_app
from taskrunner.service.auth import NoAuthenticator
from taskrunner.service.connections import Connections
from taskrunner.service.engine import Service
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.http_protocol import CONNECTION, EdgeProtocol, Patience
from taskrunner.service.server import Address, ServiceServer, bind
from taskrunner.service.settings import ServiceSettings

REQUEST = b"GET /%s HTTP/1.1\r\nhost: x\r\n\r\n"
SIZE = 64 * 1024 * 1024
#: Longer than any deadline of these tests; waited for in vain only when a test fails.
LONG_S = 30
SHORT = Patience(headers_s=0.1, reply_s=0.1)


class Edge:
    """A server in a thread, with four connections at the most."""

    def __init__(self, *, patience: Patience, connections: int = 4) -> None:
        self.release = threading.Event()
        self.proved = threading.Semaphore(0)
        self.watched: EdgeProtocol | None = None
        routes = [
            Route("/ok", self._ok),
            Route("/who", self._who),
            Route("/long", self._long),
            Route("/held", self._held),
            Route("/watched", self._watched),
            Route("/body", self._ok, methods=["POST"]),
            Route("/whole", self._whole, methods=["POST"]),
        ]
        app = Starlette(routes=routes)
        app.state.connections = Connections(connections)
        app.state.stop = self.release.set
        self._socket = bind(Address(host="127.0.0.1", port=0))
        self.address = self._socket.getsockname()
        self.server = ServiceServer(app, self._socket, patience=patience)
        self.thread = threading.Thread(target=self.server.run)

    async def _ok(self, _request: Request) -> Response:
        return PlainTextResponse("ok")

    async def _whole(self, request: Request) -> Response:
        connection: EdgeProtocol = request.scope[CONNECTION]
        return PlainTextResponse(f"whole: {connection.has_whole_request}")

    async def _who(self, request: Request) -> Response:
        client = request.client
        return PlainTextResponse(f"{client.host if client else None} {request.url.scheme}")

    async def _long(self, _request: Request) -> Response:
        return PlainTextResponse("x" * SIZE)

    async def _watched(self, request: Request) -> Response:
        """As polls do, until the client has gone."""
        self.watched = request.scope[CONNECTION]
        while (await request.receive())["type"] != "http.disconnect":
            pass
        return PlainTextResponse("nobody reads this")

    async def _held(self, request: Request) -> Response:
        connection = request.scope[CONNECTION]
        assert isinstance(connection, EdgeProtocol)
        connection.proved()
        self.proved.release()
        await asyncio.to_thread(self.release.wait)
        return PlainTextResponse("held")

    def connect(self, sent: bytes = b"") -> socket.socket:
        sock = socket.create_connection(self.address, timeout=LONG_S)
        sock.sendall(sent)
        return sock


@contextmanager
def edge(*, patience: Patience | None = None, connections: int = 4) -> Iterator[Edge]:
    running = Edge(patience=patience or Patience(), connections=connections)
    running.thread.start()
    try:
        yield running
    finally:
        running.server.stop()
        running.thread.join()


def read(sock: socket.socket, wanted: bytes) -> None:
    """Read until `wanted` has come."""
    got = b""
    while wanted not in got:
        part = sock.recv(4096)
        assert part, got
        got += part


def is_closed(sock: socket.socket) -> bool:
    """Whether the server closes the connection; waits for it."""
    try:
        while sock.recv(4096):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nhost:"])
def test_headers_that_do_not_come_end_the_connection(sent: bytes) -> None:
    with edge(patience=SHORT) as running, running.connect(sent) as sock:
        assert is_closed(sock)


def test_headers_of_a_further_request_have_their_time_too() -> None:
    with edge(patience=SHORT) as running, running.connect(REQUEST % b"ok") as sock:
        read(sock, b"\r\n\r\nok")
        sock.sendall(b"GET")
        assert is_closed(sock)


def test_a_connection_between_two_requests_is_kept() -> None:
    with edge(patience=SHORT) as running, running.connect(REQUEST % b"ok") as sock:
        read(sock, b"\r\n\r\nok")
        with running.connect() as silent:
            assert is_closed(silent)
        sock.sendall(REQUEST % b"ok")
        read(sock, b"\r\n\r\nok")


def test_a_reply_that_is_not_taken_ends_the_connection() -> None:
    with edge(patience=SHORT) as running, running.connect(REQUEST % b"long") as sock:
        read(sock, b"200 OK")
        with running.connect() as other:
            assert is_closed(other)  # by now as much time has passed
        got = 0
        with suppress(ConnectionResetError):
            while part := sock.recv(1024 * 1024):
                got += len(part)
        assert got < SIZE


def test_a_body_that_goes_on_after_its_answer_ends() -> None:
    head = b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"
    with edge() as running, running.connect(head) as sock:
        read(sock, b" 200 ")
        assert is_closed(sock)


@pytest.mark.parametrize(("body", "whole"), [(b"", False), (b"x", False), (b"xy", True)])
def test_a_request_is_whole_once_its_body_is(body: bytes, whole: bool) -> None:
    head = b"POST /whole HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n"
    with edge() as running, running.connect(head + body) as sock:
        read(sock, f"whole: {whole}".encode())


def test_what_waits_behind_a_request_is_bounded() -> None:
    with edge() as running, running.connect(REQUEST % b"watched") as sock:
        with suppress(ConnectionError):
            sock.sendall(b"x" * 1024 * 1024)
        # How much the first read brings is the kernel's to say: it is too much, and the connection
        # ends, or it is little, and nothing more is read.
        deadline = time.monotonic() + LONG_S
        while not (running.watched and ended_or_paused(running.watched)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        connection = running.watched
        assert connection.transport.is_closing() or connection.ahead <= 64 * 1024


def test_requests_that_wait_behind_one_are_few() -> None:
    with edge() as running, running.connect((REQUEST % b"watched") * 100) as sock:
        assert is_closed(sock)


def test_requests_that_come_together_are_answered_in_turn() -> None:
    together = (REQUEST % b"who") + (REQUEST % b"ok")
    with edge() as running, running.connect(together) as sock:
        read(sock, b"\r\n\r\n127.0.0.1 http")
        sock.sendall(REQUEST % b"who")
        read(sock, b"\r\n\r\n127.0.0.1 http")


@pytest.mark.parametrize("sent", [b"x: y\r\n", b"x"])
def test_a_head_without_an_end_is_refused(sent: bytes) -> None:
    head = b"GET /ok HTTP/1.1\r\nhost: x\r\nx-long: "
    with edge() as running, running.connect(head + sent) as sock:
        got = b""
        with suppress(ConnectionError):
            for _ in range(64):
                sock.sendall(sent * (65536 // len(sent)))
            while part := sock.recv(4096):
                got += part
        assert got == b"" or got.startswith(b"HTTP/1.1 400 ")
        assert is_closed(sock)


def test_blank_lines_do_not_keep_a_connection() -> None:
    with edge(patience=SHORT) as running, running.connect(REQUEST % b"ok") as sock:
        read(sock, b"\r\n\r\nok")
        sock.sendall(b"\r\n")
        assert is_closed(sock)


def test_another_protocol_is_not_begun() -> None:
    """Java's client offers HTTP/2 so, with each first request of a connection."""
    head = b"POST /body HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n"
    with edge() as running, running.connect(head + b"content-length: 2\r\n\r\n{}") as sock:
        read(sock, b"connection: close\r\n\r\nok")
        assert is_closed(sock)


@pytest.mark.parametrize(
    "headers",
    [
        b"content-length: 2\r\ntransfer-encoding: chunked\r\n",
        b"content-length: 2\r\ncontent-length: 3\r\n",
        b"content-length: +2\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"content-length : 2\r\n",
        b"a: b\r\n folded\r\n",
        b"a: b\rc: d\r\n",
        b"a: \x00\r\n",
    ],
)
def test_what_two_sides_may_read_apart_is_refused(headers: bytes) -> None:
    head = b"POST /body HTTP/1.1\r\nhost: x\r\n" + headers + b"\r\n{}"
    with edge() as running, running.connect(head) as sock:
        read(sock, b" 400 ")
        assert is_closed(sock)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /ok",
        b"GET /ok HTTP/0.9",
        b"GET /ok HTTP/2.0",
        b"GET http://evil.example/ok HTTP/1.1",
        b"GET ok HTTP/1.1",
        b"CONNECT evil.example:443 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET /\xff HTTP/1.1",
    ],
)
def test_only_a_path_by_http_1_is_answered(line: bytes) -> None:
    with edge() as running, running.connect(line + b"\r\nhost: x\r\n\r\n") as sock:
        read(sock, b" 400 ")
        assert is_closed(sock)


def ended_or_paused(connection: EdgeProtocol) -> bool:
    return connection.transport.is_closing() or connection.flow.read_paused


def test_a_newcomer_takes_the_place_of_who_was_silent_longest() -> None:
    with edge(connections=3) as running, ExitStack() as stack:
        held = stack.enter_context(running.connect(REQUEST % b"held"))
        assert running.proved.acquire(timeout=LONG_S)
        silent = [stack.enter_context(running.connect()) for _ in range(2)]
        with running.connect(REQUEST % b"ok") as newcomer:
            read(newcomer, b"\r\n\r\nok")
        assert is_closed(silent[0])
        running.release.set()
        read(held, b"\r\n\r\nheld")


def test_no_header_says_who_a_client_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    headers = b"x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: https\r\n\r\n"
    asked = (REQUEST % b"who").removesuffix(b"\r\n") + headers
    with edge() as running, running.connect(asked) as sock:
        read(sock, b"127.0.0.1 http")


def test_when_all_are_at_work_newcomers_wait() -> None:
    with edge(connections=2) as running, ExitStack() as stack:
        first, second = [running.connect(REQUEST % b"held") for _ in range(2)]
        stack.callback(second.close)
        for _ in range(2):
            assert running.proved.acquire(timeout=LONG_S)
        with running.connect(REQUEST % b"ok") as newcomer:
            first.close()
            read(newcomer, b"\r\n\r\nok")


def test_what_strangers_send_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with edge(connections=50) as running, caplog.at_level(logging.WARNING):
        for _ in range(20):
            with running.connect(b"garbage\r\n\r\n") as sock:
                read(sock, b" 400 ")
    assert len([r for r in caplog.records if "Invalid HTTP" in r.getMessage()]) == 1


class Exhausted(socket.socket):
    """A listening socket of a process that has no descriptors left for a while."""

    failures = 50
    tries = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.tries += 1
        if self.tries <= self.failures:
            raise OSError(errno.EMFILE, "Too many open files")
        raise BlockingIOError


def test_without_descriptors_it_waits_and_says_so_once() -> None:
    async def main() -> int:
        with Exhausted() as sock, socket.socket() as client:
            sock.failures = 3
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            client.connect(sock.getsockname())
            acceptor = Acceptor(sock, Connections(100), lambda _origin: pytest.fail("accepted"))
            acceptor.start()
            while sock.tries <= sock.failures:
                await asyncio.sleep(0.01)
            acceptor.stop()
            return sock.tries

    with capture_logs() as log:
        assert asyncio.run(main()) >= 4
    assert [(record["event"], record["error"]) for record in log] == [
        ("no connection can be taken", "too many open files")
    ]


class Written(asyncio.Transport):
    """A transport that notes what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        assert not self.closed.is_set()
        self.pieces.append(bytes(data))

    def close(self) -> None:
        self.closed.set()

    def abort(self) -> None:
        self.closed.set()

    def is_closing(self) -> bool:
        return self.closed.is_set()


def test_head_and_body_of_a_call_s_reply_go_out_together(tmp_path: Path) -> None:
    service = Service(ServiceSettings(database_url=f"sqlite:///{tmp_path / 'service.db'}"))
    app = create_app(service, handlers=HANDLERS, authenticator=NoAuthenticator())
    head = (
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-amz-json-1.1\r\n"
        b"x-amz-target: DataPipeline.ListPipelines\r\nconnection: close\r\n"
        b"content-length: 2\r\n\r\n"
    )

    async def main() -> list[bytes]:
        config = uvicorn.Config(app, ws="none", log_config=None, access_log=False)
        protocol = EdgeProtocol(
            config,
            ServerState(),
            {},
            connections=Connections(1),
            origin="127.0.0.1",
            patience=Patience(),
        )
        transport = Written()
        protocol.connection_made(transport)
        protocol.data_received(head + b"{}")
        await transport.closed.wait()
        protocol.connection_lost(None)
        return transport.pieces

    (reply,) = asyncio.run(main())
    service.store.close()
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert reply.endswith(b'\r\n\r\n{"pipelineIdList":[],"hasMoreResults":false}')
