"""A metadata service without a network: what it was asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping

from taskrunner.wire.http import HttpReply, HttpRequest, TransportError

TOKEN_PATH = "/latest/api/token"


class FakeTransport:
    """Answers like version 2 of the service; `values` are its texts by path."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = dict(values or {})
        self.asked: list[str] = []
        self.deadlines: set[float] = set()
        self.tokens = 0
        self.valid: set[str] = set()
        #: Raised in place of an answer, by method.
        self.failures: dict[str, str] = {}
        self.statuses: dict[str, int] = {}

    def send(self, request: HttpRequest, *, deadline_s: float) -> HttpReply:
        self.asked.append(f"{request.method} {request.path}")
        self.deadlines.add(deadline_s)
        if request.method in self.failures:
            raise TransportError(self.failures[request.method])
        if status := self.statuses.get(request.path):
            return HttpReply(status=status)
        if request.method == "PUT":
            return self._token(request)
        if request.headers.get("x-aws-ec2-metadata-token") not in self.valid:
            return HttpReply(status=401)
        text = self.values.get(request.path)
        return HttpReply(status=404) if text is None else _ok(text)

    def _token(self, request: HttpRequest) -> HttpReply:
        if request.path != TOKEN_PATH:
            return HttpReply(status=405)
        self.tokens += 1
        token = f"token-{self.tokens}"
        self.valid = {token}
        ttl = request.headers["x-aws-ec2-metadata-token-ttl-seconds"]
        headers = {"x-aws-ec2-metadata-token-ttl-seconds": ttl}
        return HttpReply(status=200, headers=headers, body=token.encode())


def _ok(text: str) -> HttpReply:
    return HttpReply(status=200, body=text.encode())
