"""The transport against servers that refuse, stall, drip, cut and lie: one deadline for all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from taskrunner.clock import SystemClock
from taskrunner.errors import ServiceUnreachable
from taskrunner.wire.client import Client
from taskrunner.wire.endpoint import Endpoint
from taskrunner.wire.http import GivenUp, HttpReply, HttpRequest, TransportError
from taskrunner.wire.inputs import ListPipelinesInput
from taskrunner.wire.transport import MAX_REPLY_BYTES, Urllib3Transport

#: Long enough for a loaded machine to connect, short enough to wait for.
DEADLINE_S = 0.4
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Behaviour = Callable[[socket.socket, threading.Event], None]


@contextmanager
def server(behave: Behaviour) -> Iterator[Endpoint]:
    """A server that reads one request a connection, then behaves as told."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    _read_request(connection)
                    behave(connection, stop)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Endpoint(scheme="http", host="127.0.0.1", port=listener.getsockname()[1])
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _read_request(connection: socket.socket) -> None:
    # All of it: closing with bytes unread would reset the connection.
    data = b""
    while not data.endswith(b"{}"):
        data += connection.recv(65536) or b"{}"


def test_head_and_body_arrive_together() -> None:
    """Apart they would wake the service twice for each call."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arrived: list[bytes] = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                arrived.append(connection.recv(65536))
                connection.sendall(OK)

        thread = threading.Thread(target=serve)
        thread.start()
        send(Endpoint(scheme="http", host="127.0.0.1", port=listener.getsockname()[1]))
        thread.join()

    assert arrived[0].startswith(b"POST / HTTP/1.1\r\n")
    assert arrived[0].endswith(b"\r\n\r\n{}")


def sending(data: bytes) -> Behaviour:
    return lambda connection, _stop: connection.sendall(data)


def dripping(data: bytes) -> Behaviour:
    """A byte at a time: each one in time for any time-out of a single read."""

    def behave(connection: socket.socket, stop: threading.Event) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            connection.sendall(bytes([byte]))
            if stop.wait(DEADLINE_S / 8):
                return

    return behave


def sending_then_stalling(data: bytes) -> Behaviour:
    def behave(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(data)
        stop.wait()

    return behave


def send(endpoint: Endpoint, *, deadline_s: float = 5.0) -> HttpReply:
    transport = Urllib3Transport(endpoint, SystemClock())
    try:
        return transport.send(HttpRequest(body=b"{}"), deadline_s=deadline_s)
    finally:
        transport.close()


def failure(behave: Behaviour, *, deadline_s: float = 5.0) -> str:
    with server(behave) as endpoint, pytest.raises(TransportError) as caught:
        send(endpoint, deadline_s=deadline_s)
    return str(caught.value)


def test_a_reply_comes_back_whole() -> None:
    with server(sending(OK)) as endpoint:
        reply = send(endpoint)

    assert (reply.status, reply.body) == (200, b"{}")
    assert reply.headers["content-length"] == "2"


def test_a_reply_that_ends_with_its_connection_is_whole_too() -> None:
    with server(sending(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}")) as endpoint:
        assert send(endpoint).body == b"{}"


@pytest.mark.parametrize(
    "behave",
    [
        sending_then_stalling(b""),
        sending_then_stalling(OK[:20]),
        sending_then_stalling(OK[:-1]),
        dripping(OK * 2),
        dripping(b"HTTP/1.1 200 OK\r\n" + b"X-Header: y\r\n" * 90),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 90),
        dripping(b"HTTP/1.1 100 Continue\r\n\r\n" * 90),
    ],
    ids=["silent", "half-head", "half-body", "drip", "drip-head", "drip-chunks", "drip-continue"],
)
def test_every_stall_ends_at_the_deadline(behave: Behaviour) -> None:
    clock = SystemClock()
    began = clock.monotonic()

    assert "no whole answer within" in failure(behave, deadline_s=DEADLINE_S)

    assert clock.monotonic() - began < 4 * DEADLINE_S


@pytest.mark.parametrize(
    "data",
    [
        b"",
        OK[:10],
        OK[:-1],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\x16\x03\x01\x00\xff" * 20,
    ],
)
def test_a_cut_or_foreign_answer_is_said(data: bytes) -> None:
    assert "cut" in failure(sending(data))


def test_a_reply_beyond_all_bounds_is_not_read_to_its_end() -> None:
    def flood(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not stop.is_set():
            connection.sendall(b" " * 1_000_000)

    assert f"larger than {MAX_REPLY_BYTES >> 20} MB" in failure(flood, deadline_s=30)


def test_a_redirect_is_not_followed() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with server(sending(head)) as endpoint:
        assert send(endpoint).status == 302


def test_nobody_there_is_said_with_the_endpoint() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    endpoint = Endpoint(scheme="http", host="127.0.0.1", port=port)
    clock = SystemClock()
    client = Client(endpoint, Urllib3Transport(endpoint, clock), signer=None, clock=clock)

    with pytest.raises(
        ServiceUnreachable,
        match=f"127.0.0.1:{port} did not answer ListPipelines: connection refused",
    ):
        client.call(ListPipelinesInput())


def of_two_addresses(monkeypatch: pytest.MonkeyPatch, port: int) -> Endpoint:
    """A name that two addresses of this machine have."""

    def look_up(_host: str, _port: int, *_hints: int) -> list[tuple[object, ...]]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("127.0.0.2", port)), (*kind, ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return Endpoint(scheme="http", host="two.example", port=port)


def test_the_next_address_is_tried_where_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(sending(OK)) as endpoint:
        assert send(of_two_addresses(monkeypatch, endpoint.port)).body == b"{}"


def test_no_address_is_tried_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(SystemClock):
        """On which each step takes five seconds."""

        steps = 0

        def monotonic(self) -> float:
            self.steps += 1
            return 5.0 * self.steps

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    transport = Urllib3Transport(of_two_addresses(monkeypatch, port), Clock())

    with pytest.raises(TransportError, match="no whole answer within 9 s"):  # not: refused
        transport.send(HttpRequest(body=b"{}"), deadline_s=9)

    transport.close()


def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    with server(sending(OK)) as endpoint:
        transport = Urllib3Transport(endpoint, SystemClock())
        replies = []
        for _ in range(3):
            replies.append(transport.send(HttpRequest(body=b"{}"), deadline_s=5))
            # The server closes after its reply; before that is seen here the line is a good one.
            threading.Event().wait(0.3)
        transport.close()

    assert [reply.body for reply in replies] == [b"{}"] * 3


def test_a_call_is_given_up_by_another_thread_and_the_peer_sees_it() -> None:
    asked, gone = threading.Event(), threading.Event()

    def hold(connection: socket.socket, _stop: threading.Event) -> None:
        asked.set()
        if connection.recv(1) == b"":
            gone.set()

    with server(hold) as endpoint:
        transport = Urllib3Transport(endpoint, SystemClock())
        ended: list[BaseException] = []

        def call() -> None:
            try:
                transport.send(HttpRequest(body=b"{}"), deadline_s=60)
            except TransportError as error:
                ended.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        assert asked.wait(20)
        assert thread.ident is not None
        transport.give_up(thread.ident)
        thread.join(20)
        assert gone.wait(20)
        transport.give_up(thread.ident)  # there is no call any more
        transport.close()
    assert [type(error) for error in ended] == [GivenUp]


def test_giving_up_harms_neither_a_reply_that_came_nor_the_next_call() -> None:
    def answer_on(connection: socket.socket, stop: threading.Event) -> None:
        # One connection for all: the next call uses what the last one was given up on.
        while not stop.is_set():
            connection.sendall(OK)
            _read_request(connection)

    with (
        server(answer_on) as endpoint,
        closing(Urllib3Transport(endpoint, SystemClock())) as transport,
    ):
        for _ in range(20):
            assert transport.send(HttpRequest(body=b"{}"), deadline_s=20).body == b"{}"
            transport.give_up(threading.get_ident())


def test_one_that_has_not_sent_anything_yet_is_given_up_as_well() -> None:
    asked = threading.Event()

    def behave(connection: socket.socket, _stop: threading.Event) -> None:
        asked.set()
        connection.sendall(OK)

    class Clock(SystemClock):
        """Gives the call up from within: before the first byte is sent."""

        def monotonic(self) -> float:
            transport.give_up(threading.get_ident())
            return super().monotonic()

    with server(behave) as endpoint:
        transport = Urllib3Transport(endpoint, Clock())
        with pytest.raises(GivenUp):
            transport.send(HttpRequest(body=b"{}"), deadline_s=20)
        transport.close()
    assert not asked.is_set()
