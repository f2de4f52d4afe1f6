"""A clock that moves only when told, and a transport that is a function."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from taskrunner.wire.client import Client
from taskrunner.wire.endpoint import Endpoint
from taskrunner.wire.http import HttpReply, HttpRequest
from taskrunner.wire.signing import Signer


class FixedClock:
    """Stands still; waits return at once and are noted."""

    def __init__(self, moment: datetime = datetime(2026, 2, 13, 2, 0, tzinfo=UTC)) -> None:
        self.moment = moment
        self.seconds = 1000.0
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.waits.append(timeout_s)
        self.seconds += timeout_s
        self.moment += timedelta(seconds=timeout_s)
        return event.is_set()


class FunctionTransport:
    """Hands each request to a function and keeps it."""

    def __init__(self, answer: Callable[[HttpRequest], HttpReply]) -> None:
        self.answer = answer
        self.sent: list[tuple[HttpRequest, float]] = []

    def send(self, request: HttpRequest, *, deadline_s: float) -> HttpReply:
        self.sent.append((request, deadline_s))
        return self.answer(request)


LOOPBACK = Endpoint(scheme="http", host="127.0.0.1", port=8484)


def client_answering(
    answer: Callable[[HttpRequest], HttpReply],
    *,
    endpoint: Endpoint = LOOPBACK,
    signer: Signer | None = None,
    clock: FixedClock | None = None,
) -> tuple[Client, FunctionTransport]:
    """A client of a service that is a function."""
    transport = FunctionTransport(answer)
    client = Client(endpoint, transport, signer=signer, clock=clock or FixedClock())
    return client, transport
