from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace

import pytest

from taskrunner.data.objects.http_line import HttpLine

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[HttpLine, socket.socket]]:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        line = HttpLine(SimpleNamespace(sock=ours, close=ours.close))
        yield line, theirs
        line.close()


@pytest.mark.parametrize(
    ("answer", "body", "is_open"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc", True),
        (
            CHUNKED + b"2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            b"abc",
            True,
        ),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", b"", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x", False),
    ],
)
def test_answers_of_all_forms(
    ends: tuple[HttpLine, socket.socket], answer: bytes, body: bytes, is_open: bool
) -> None:
    line, server = ends
    server.sendall(answer * (2 if is_open else 1))
    for _ in range(2 if is_open else 1):
        line.put("host:81", "/a%20b", {"x-amz-date": "now"})
        assert line.answer() == (200, body)
        asked = server.recv(1 << 16)
        assert asked.startswith(b"PUT /a%20b HTTP/1.1\r\nhost: host:81\r\n")
        assert asked.endswith(b"x-amz-date: now\r\n\r\n")
    assert line.is_open == is_open


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"nonsense\r\n\r\n",
        CHUNKED + b"zz\r\n",
    ],
)
def test_half_of_an_answer_and_nonsense_are_errors(
    ends: tuple[HttpLine, socket.socket], answer: bytes
) -> None:
    line, server = ends
    server.sendall(answer)
    server.shutdown(socket.SHUT_WR)
    line.put("host", "/a", {})
    with pytest.raises((OSError, ValueError, KeyError)):
        line.answer()
