"""What a server shaped like AWS's needs: requests read, replies and errors written."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, takewhile
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

_EC2_SPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_REQUEST = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class AwsError(Exception):
    """An answer that is an error."""

    code: str
    message: str
    status: int = 400


class Query:
    """The parameters of a call in EC2's query protocol: `Filter.1.Value.2=x`."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = dict(given)

    def text(self, name: str) -> str | None:
        """The value of a parameter."""
        return self._given.get(name)

    def texts(self, name: str) -> list[str]:
        """The values of a list, in its order."""
        values = (self.text(f"{name}.{number}") for number in count(1))
        return [value for value in takewhile(lambda value: value is not None, values) if value]

    def items(self, name: str) -> list[Query]:
        """The parts of a list of structures."""
        return [*takewhile(bool, (self.part(f"{name}.{number}") for number in count(1)))]

    def part(self, name: str) -> Query:
        """A structure."""
        start = f"{name}."
        inner = {key[len(start) :]: v for key, v in self._given.items() if key.startswith(start)}
        return Query(inner)

    def without(self, *names: str) -> dict[str, str]:
        """All parameters but these."""
        return {key: value for key, value in self._given.items() if key not in names}

    def __bool__(self) -> bool:
        return bool(self._given)


#: The call's name and its parameters -> what the reply holds; raises AwsError.
Answer = Callable[[str, Query], Mapping[str, Any]]
#: The same for a call in JSON.
AnswerJson = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


def server(answer: Answer, answer_json: AnswerJson) -> ThreadingHTTPServer:
    """A server on a free port of this host; it serves once `serve_forever` is called."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Answer a call."""
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            target = self.headers.get("X-Amz-Target")
            if target is not None:
                self._json(target, body)
                return
            given = dict(parse_qsl(body, keep_blank_values=True))
            action = given.get("Action", "")
            try:
                reply = {"requestId": _REQUEST, **answer(action, Query(given))}
                space = f' xmlns="{_EC2_SPACE}"'
                self._send(
                    200, "text/xml", f"<{action}Response{space}>{_xml(reply)}</{action}Response>"
                )
            except AwsError as error:
                self._send(error.status, "text/xml", _error(error))

        def _json(self, target: str, body: str) -> None:
            kind = "application/x-amz-json-1.1"
            try:
                self._send(200, kind, json.dumps(answer_json(target, json.loads(body))))
            except AwsError as error:
                told = {"__type": error.code, "message": error.message}
                self._send(error.status, kind, json.dumps(told))

        def _send(self, status: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return _Server(("127.0.0.1", 0), Handler)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a client that has gone; say what else is wrong."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _error(error: AwsError) -> str:
    told = {"Errors": {"Error": {"Code": error.code, "Message": error.message}}}
    return f"<Response>{_xml({**told, 'RequestID': _REQUEST})}</Response>"


def _xml(value: object) -> str:
    if isinstance(value, Mapping):
        return "".join(f"<{key}>{_xml(inner)}</{key}>" for key, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "".join(f"<item>{_xml(inner)}</item>" for inner in value)
    return escape(str(value).lower() if isinstance(value, bool) else str(value))
