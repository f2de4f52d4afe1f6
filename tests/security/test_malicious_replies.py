"""T23: replies that mean harm, as bytes on the line, to the calls that a runner makes."""

from __future__ import annotations

import gzip
import json
import re
import resource
import socket
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import pytest

from taskrunner.clock import SystemClock
from taskrunner.errors import CallRefused, ServiceUnreachable
from taskrunner.wire.api import Verdict
from taskrunner.wire.client import Client
from taskrunner.wire.endpoint import Endpoint
from taskrunner.wire.runner import RunnerApi
from taskrunner.wire.transport import Urllib3Transport

MB = 1024 * 1024


def http(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    head = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers, b"", b""]
    return b"\r\n".join(head) + body


def task(**members: object) -> bytes:
    whole = {"taskId": "t", "pipelineId": "df-1", "attemptId": "a", "objects": {}, **members}
    return http(json.dumps({"taskObject": whole}).encode())


def fault(code: object, message: object = "m", status: bytes = b"400 Bad Request") -> bytes:
    return http(json.dumps({"__type": code, "message": message}).encode(), status=status)


def chunked(data: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data


FIELD = {"key": "type", "stringValue": "x"}
OBJECT = {"id": "a", "name": "a", "fields": [FIELD]}
FORGED = '\n{"level": "info", "event": "all is well"}\r\x1b]0;x\x07\x1b[2J\u2028\u202e'

#: Each of them is no task, and nothing else either: the agent says so and polls again. What takes
#: long to make is made by its test.
NO_ANSWER: Mapping[str, bytes | Callable[[], bytes]] = {
    # The line and the headers.
    "nothing": b"",
    "zeros": bytes(1000),
    "no status": b"HTTP/1.1\r\n\r\n",
    "a status of words": b"HTTP/1.1 OK 200\r\n\r\n{}",
    "status 99": http(b"{}", status=b"99 x"),
    "status 999": http(b"{}", status=b"999 x"),
    "status -200": http(b"{}", status=b"-200 x"),
    "status 204": http(b"", status=b"204 No Content"),
    "status 304": http(b"", status=b"304 Not Modified"),
    "status 206": http(b"{", status=b"206 Partial Content"),
    "another protocol": b"ICY 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a long line": b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n{}",
    "a long header": http(b"{}", b"x: " + b"y" * 100_000),
    "500 headers": http(b"{}", *[b"x-%d: y" % number for number in range(500)]),
    "a size of words": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n<x>",
    "a size too large": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n{}",
    "a negative size": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n<x>",
    "two sizes": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "bad chunks": chunked(b"zz\r\n{}\r\n0\r\n\r\n"),
    "a negative chunk": chunked(b"-5\r\n{}\r\n0\r\n\r\n"),
    "a chunk too large": chunked(b"fffffffffffffff\r\n{}"),
    "half a chunk": chunked(b"5\r\n{}"),
    # Where it might be led.
    "a redirect": http(b"", b"Location: http://169.254.169.254/", status=b"302 Found"),
    "a redirect to a file": http(b"", b"Location: file:///etc/passwd", status=b"301 x"),
    "a redirect with the call": http(b"", b"Location: http://127.0.0.1:1/", status=b"307 x"),
    "a wish for a login": http(b"", b'WWW-Authenticate: Basic realm="x"', status=b"401 x"),
    "a wish for a proxy's": http(b"", b"Proxy-Authenticate: Basic", status=b"407 x"),
    "another protocol's wish": http(b"", b"Upgrade: h2c", status=b"426 Upgrade Required"),
    # What is no JSON of this API.
    "an empty body": http(b""),
    "HTML": http(b"<html><script>alert(1)</script></html>"),
    "a list": http(b"[]"),
    "a text": http(b'"x"'),
    "null": http(b"null"),
    "a number": http(b"1" * 10_000),
    "NaN": http(b"NaN"),
    "no UTF-8": http(b'{"taskObject":"\xff\xfe"}'),
    "UTF-16": http("{}".encode("utf-16")),
    "nested lists": http(b'{"taskObject":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "nested objects": http(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a large reply": http(b'{"x":"' + b"x" * 17 * MB + b'"}'),
    "gzip": http(gzip.compress(b"{}"), b"Content-Encoding: gzip"),
    "a bomb": lambda: http(gzip.compress(bytes(200 * MB), 1), b"Content-Encoding: gzip"),
    "a bomb of another kind": lambda: http(
        zlib.compress(bytes(200 * MB), 1), b"Content-Encoding: deflate"
    ),
    "an unknown coding": http(b"{}<", b"Content-Encoding: br"),
    # What is no task.
    "a task of text": http(b'{"taskObject":"t"}'),
    "a task of a list": http(b'{"taskObject":[1]}'),
    "an id of a number": task(taskId=5),
    "an empty id": task(taskId=""),
    "a long id": task(taskId="t" * 3_000),
    "no attempt": task(attemptId=None),
    "objects of a list": task(objects=[OBJECT]),
    "objects of text": task(objects="x"),
    "an object of text": task(objects={"a": "x"}),
    "fields of text": task(objects={"a": {**OBJECT, "fields": "x"}}),
    "a field without a key": task(objects={"a": {**OBJECT, "fields": [{"stringValue": "x"}]}}),
    "a field of numbers": task(objects={"a": {**OBJECT, "fields": [{"key": 1}]}}),
    "6,000 objects": lambda: task(objects={str(number): OBJECT for number in range(6_000)}),
    "200,000 fields": lambda: task(objects={"a": {**OBJECT, "fields": [FIELD] * 200_000}}),
    # Faults.
    "a fault without a code": http(b"{}", status=b"400 Bad Request"),
    "a code of a list": fault(["x"]),
    "a code of null": fault(None),
    "a failure": fault("InternalServiceError", FORGED, b"500 x"),
    "a failure in HTML": http(b"<html>" + FORGED.encode(), status=b"502 Bad Gateway"),
    "too many": fault("ThrottlingException", "x" * MB),
    "teapots": http(b"{}", status=b"418 I am a teapot"),
}
#: These are answers, but nothing good.
REFUSALS = {
    "a forged line": fault("ValidationException", FORGED),
    "a forged code": fault(f"Evil{FORGED}"),
    "a long message": fault("ValidationException", "x" * 2 * MB),
    "a long code": fault("x" * MB),
    "a message of a list": fault("ValidationException", ["x", {"y": FORGED}]),
    "half a pair": http(b'{"__type":"X","message":"\\ud800"}', status=b"400 x"),
}


def test_there_are_as_many_as_were_asked_for() -> None:
    assert len(NO_ANSWER) + len(REFUSALS) >= 42


@contextmanager
def runner_told(reply: bytes) -> Iterator[RunnerApi]:
    """A runner whose service answers with these bytes, and hangs up."""

    def serve() -> None:
        with suppress(OSError):  # the client may have heard enough, or the test is over
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), connection:
                    read_request(connection)
                    connection.sendall(reply)

    listener = socket.create_server(("127.0.0.1", 0))
    endpoint = Endpoint(scheme="http", host="127.0.0.1", port=listener.getsockname()[1])
    transport = Urllib3Transport(endpoint, SystemClock())
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield RunnerApi(Client(endpoint, transport, clock=SystemClock(), signer=None).call)
    finally:
        transport.close()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def read_request(connection: socket.socket) -> None:
    """All of it: closing with bytes unread would reset the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
    while len(body) < size:
        body += connection.recv(65536)


def told_of_a_poll(reply: bytes) -> str:
    """What the agent is told when this is what comes back."""
    with (
        runner_told(reply) as runner,
        pytest.raises((ServiceUnreachable, CallRefused)) as caught,
    ):
        pytest.fail(str(runner.poll_for_task(worker_group="g", hostname="h")))
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize("name", NO_ANSWER)
def test_what_is_no_answer_is_told_in_a_line(name: str) -> None:
    reply = NO_ANSWER[name]
    data = reply() if callable(reply) else reply
    before = memory()

    told = told_of_a_poll(data)

    assert told.startswith("ServiceUnreachable: "), told
    assert_one_line(told)
    assert memory() - before < 150 * MB


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused_is_told_in_a_line(name: str) -> None:
    assert_one_line(told_of_a_poll(REFUSALS[name]))


def assert_one_line(told: str) -> None:
    """Nothing in it begins another line, or controls a terminal; and it is not long."""
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]", told), told
    assert len(told) < 2_000


def memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


CALLS: dict[str, Callable[[RunnerApi], object]] = {
    "poll": lambda runner: runner.poll_for_task(worker_group="g", hostname="h"),
    "progress": lambda runner: runner.report_task_progress("t", {}),
    "heartbeat": lambda runner: runner.report_task_runner_heartbeat(
        taskrunner_id="r", worker_group="g", hostname="h"
    ),
    "status": lambda runner: runner.set_task_status("t", Verdict(status="FINISHED")),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "body",
    [b'{"canceled":"no"}', b'{"canceled":[]}', b'{"terminate":5}', b"[]", b"null", b'"x"', b"{"],
)
def test_every_call_takes_no_for_an_answer(call: str, body: bytes) -> None:
    """Nothing else than the answer's own form is one; who has none for a member, has none."""
    told = ""
    with runner_told(http(body)) as runner:
        try:
            assert CALLS[call](runner) in {None, False}
        except ServiceUnreachable as error:
            told = str(error)
    assert_one_line(told)
