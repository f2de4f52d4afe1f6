"""Traces: what a program has done, as spans that OpenTelemetry's tools draw.

A task's trace is known by its taskId on both sides of the wire, so that nothing has to be carried:
the hand-out is its first span, and the runner's attempt and the calls about it hang on that.
Without OTEL_EXPORTER_OTLP_ENDPOINT nothing is recorded, and no library is loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from taskrunner.clock import Clock, SystemClock
from taskrunner.logs import get_logger

log = get_logger()

#: Values of attributes.
Value = str | int | float | bool
#: Where spans go to, by OpenTelemetry's own variables; the first is for traces alone.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_WITHOUT = "nothing is traced"


class Kind(Enum):
    """What a span is to others."""

    INTERNAL = auto()
    SERVER = auto()  # it answers a call
    PRODUCER = auto()  # it makes work for another program
    CONSUMER = auto()  # it does that work


@dataclass(slots=True, kw_only=True)
class Span:
    """Something that was done, from one moment to another; told while it is done."""

    name: str
    kind: Kind
    began: datetime
    ended: datetime | None = None
    attributes: dict[str, Value] = field(default_factory=dict)
    #: The hand-out whose trace it is in; None: it has a trace of its own.
    task_id: str | None = None
    #: It is the hand-out itself, the first span of its trace.
    is_hand_out: bool = False
    #: What went wrong.
    error: str | None = None
    #: Nothing is told of it after all.
    is_dropped: bool = False

    def note(self, name: str, value: Value | None) -> None:
        """Add an attribute, if it is known."""
        if value is not None:
            self.attributes[name] = value


class Recorder(Protocol):
    """Takes spans that are over."""

    def record(self, span: Span) -> None:
        """Take one; quick, and never an error."""
        ...

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        ...


def ids_of(task_id: str) -> tuple[int, int]:
    """The ids of a hand-out's trace and of its first span: neither tells the taskId."""
    digest = hashlib.sha256(
        b"taskrunner trace\0" + task_id.encode("utf-8", "surrogatepass")
    ).digest()
    # Zero is no id.
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """What the parts of a program tell what they do."""

    recorder: Recorder | None = None
    clock: Clock = field(default_factory=SystemClock)

    def span(
        self, name: str, kind: Kind, *, task_id: str | None = None
    ) -> AbstractContextManager[Span]:
        """The block is a span; what it raises is told as its error."""
        span = Span(name=name, kind=kind, began=self.clock.now(), task_id=task_id)
        # Most programs tell nobody: it is to cost them next to nothing.
        return nullcontext(span) if self.recorder is None else self._told(span, self.recorder)

    @contextmanager
    def _told(self, span: Span, recorder: Recorder) -> Iterator[Span]:
        try:
            yield span
        except BaseException as error:
            span.error = span.error or type(error).__name__
            raise
        finally:
            span.ended = span.ended or self.clock.now()
            if not span.is_dropped:
                recorder.record(span)

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        if self.recorder is not None:
            self.recorder.close()


def tracing_of(name: str, environ: Mapping[str, str], clock: Clock | None = None) -> Tracing:
    """As OpenTelemetry's variables want it; `name` is the program's where none says another.

    What cannot be as wanted is logged: a program that works is not kept from it by a want of
    traces.
    """
    clock = clock or SystemClock()
    if not _is_wanted(environ):
        return Tracing(clock=clock)
    protocol = next((environ[key] for key in _PROTOCOLS if environ.get(key)), "http/protobuf")
    if protocol != "http/protobuf":
        reason = f"spans go out by http/protobuf, not by {protocol}: {_WITHOUT}"
        log.warning("traces cannot be sent", error=reason)
        return Tracing(clock=clock)
    try:
        from taskrunner.tracing.otel import OtelRecorder
    except ImportError:
        log.warning(
            "traces cannot be sent",
            error=f"OpenTelemetry's SDK is not installed: {_WITHOUT}",
            remedy="pip install 'taskrunner-agent[otel]'",
        )
        return Tracing(clock=clock)
    return Tracing(recorder=OtelRecorder(name, environ), clock=clock)


def _is_wanted(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return False
    return any(environ.get(key) for key in ENDPOINTS)
