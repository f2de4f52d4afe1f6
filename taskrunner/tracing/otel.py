"""Spans by OpenTelemetry's SDK, sent by OTLP over HTTP; loaded only where they are wanted.

Where to, with which headers and certificates, and how many are kept is said by OpenTelemetry's own
variables (OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_BSP_*, OTEL_RESOURCE_ATTRIBUTES).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import SpanKind, Status, StatusCode, TraceFlags

from taskrunner import __version__
from taskrunner.tracing import Kind, Span, ids_of

#: How long the last spans may take to go out, in seconds.
CLOSE_S = 5.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = {
    Kind.INTERNAL: SpanKind.INTERNAL,
    Kind.SERVER: SpanKind.SERVER,
    Kind.PRODUCER: SpanKind.PRODUCER,
    Kind.CONSUMER: SpanKind.CONSUMER,
}


class _Ids(RandomIdGenerator):
    """Random ids, but for the span that a thread has said its ids of."""

    def __init__(self) -> None:
        super().__init__()
        self._said = threading.local()

    def say(self, ids: tuple[int, int] | None) -> None:
        """The ids of the next trace of this thread and of its first span; None: random ones."""
        self._said.ids = ids

    def generate_trace_id(self) -> int:
        said: tuple[int, int] | None = getattr(self._said, "ids", None)
        made: int = said[0] if said else super().generate_trace_id()
        return made

    def generate_span_id(self) -> int:
        said: tuple[int, int] | None = getattr(self._said, "ids", None)
        made: int = said[1] if said else super().generate_span_id()
        return made


class OtelRecorder:
    """Hands spans to the SDK, which sends them from a thread of its own."""

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        """`name`: the service's, unless a variable says another."""
        self._ids = _Ids()
        self._provider = TracerProvider(
            resource=_resource(name, environ), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("taskrunner", __version__)

    def record(self, span: Span) -> None:
        """Take one."""
        root = ids_of(span.task_id) if span.task_id is not None and span.is_hand_out else None
        self._ids.say(root)
        try:
            made = self._tracer.start_span(
                span.name,
                context=self._context(span),
                kind=_KINDS[span.kind],
                attributes=span.attributes,
                start_time=_ns(span.began),
            )
        finally:
            self._ids.say(None)
        if span.error is not None:
            made.set_status(Status(StatusCode.ERROR, span.error))
        made.end(end_time=_ns(span.ended or span.began))

    def _context(self, span: Span) -> Context:
        if span.task_id is None or span.is_hand_out:
            return Context()
        trace_id, span_id = ids_of(span.task_id)
        # The hand-out's own program decides by the trace's id whether it is kept: so can we.
        sampled = self._provider.sampler.should_sample(None, trace_id, span.name)
        is_kept = sampled.decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if is_kept else TraceFlags.DEFAULT)
        parent = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)
        return trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())

    def close(self) -> None:
        """Send what is left; an endpoint that does not answer is waited for no longer."""
        thread = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        thread.start()
        thread.join(CLOSE_S)


def _resource(name: str, environ: Mapping[str, str]) -> Resource:
    said = f",{environ.get('OTEL_RESOURCE_ATTRIBUTES', '')}".replace(" ", "")
    attributes = {SERVICE_VERSION: __version__}
    if not environ.get("OTEL_SERVICE_NAME") and f",{SERVICE_NAME}=" not in said:
        attributes[SERVICE_NAME] = name
    return Resource.create(attributes)


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
