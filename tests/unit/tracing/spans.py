"""A recorder for tests."""

from __future__ import annotations

from taskrunner.clock import Clock
from taskrunner.tracing import Span, Tracing


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.closed = False

    def record(self, span: Span) -> None:
        self.spans.append(span)

    def close(self) -> None:
        self.closed = True

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def tracing(self, clock: Clock) -> Tracing:
        return Tracing(recorder=self, clock=clock)
