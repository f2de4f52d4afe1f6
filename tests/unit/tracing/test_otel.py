"""Spans as they go out, taken by a server that knows OTLP's form."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from taskrunner.tracing import Kind, Span, ids_of, tracing_of
from taskrunner.tracing.otel import OtelRecorder

BEGAN = datetime(2026, 2, 13, 2, tzinfo=UTC)
TASK = "a1" * 32


class Collector(http.server.HTTPServer):
    """Takes what is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spans(self) -> dict[str, tuple[Any, dict[str, str]]]:
        """By their names, each with its program's attributes."""
        found = {}
        for body in self.bodies:
            for of in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = {a.key: a.value.string_value for a in of.resource.attributes}
                for scope in of.scope_spans:
                    found.update({span.name: (span, resource) for span in scope.spans})
        return found


class _Taking(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Collector)
        assert self.path == "/v1/traces"
        server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        yield server
        server.shutdown()
        thread.join()


def recorder(name: str, environ: dict[str, str] | None = None) -> OtelRecorder:
    return OtelRecorder(name, environ or {})


def span(name: str, kind: Kind, **more: Any) -> Span:
    return Span(name=name, kind=kind, began=BEGAN, ended=BEGAN + timedelta(seconds=2), **more)


def test_what_two_programs_tell_of_a_task_is_one_trace(collector: Collector) -> None:
    with closing(recorder("taskrunner-service")) as service:
        service.record(span("hand out", Kind.PRODUCER, task_id=TASK, is_hand_out=True))
        service.record(span("SetTaskStatus", Kind.SERVER, task_id=TASK))
        service.record(span("decide", Kind.INTERNAL, attributes={"taskrunner.instances": 3}))
    with closing(recorder("taskrunner-agent")) as agent:
        failed = span("attempt", Kind.CONSUMER, task_id=TASK, error="CommandFailed")
        agent.record(failed)
    found = collector.spans()
    (first, of_service), (work, of_agent) = found["hand out"], found["attempt"]
    trace_id, span_id = ids_of(TASK)
    assert first.trace_id == trace_id.to_bytes(16)
    assert first.span_id == span_id.to_bytes(8)
    assert first.parent_span_id == b""
    for child in (work, found["SetTaskStatus"][0]):
        assert (child.trace_id, child.parent_span_id) == (first.trace_id, first.span_id)
        assert child.span_id != first.span_id
    alone = found["decide"][0]
    assert alone.trace_id != first.trace_id
    assert [(a.key, a.value.int_value) for a in alone.attributes] == [("taskrunner.instances", 3)]
    assert (work.status.code, work.status.message) == (2, "CommandFailed")
    assert work.end_time_unix_nano - work.start_time_unix_nano == 2_000_000_000
    assert work.start_time_unix_nano == int(BEGAN.timestamp()) * 1_000_000_000
    names = (of_service["service.name"], of_agent["service.name"])
    assert names == ("taskrunner-service", "taskrunner-agent")


def test_both_programs_keep_the_same_traces_of_some(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left out by one is left out by the other: no trace is torn."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    with closing(recorder("service")) as service, closing(recorder("agent")) as agent:
        for number in range(40):
            task = f"task {number}"
            service.record(span(f"out {task}", Kind.PRODUCER, task_id=task, is_hand_out=True))
            agent.record(span(f"in {task}", Kind.CONSUMER, task_id=task))
    found = collector.spans()
    out = {name.removeprefix("out ") for name in found if name.startswith("out ")}
    assert out == {name.removeprefix("in ") for name in found if name.startswith("in ")}
    assert 0 < len(out) < 40


@pytest.mark.parametrize("variable", ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"])
def test_an_operators_name_counts(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    said = "etl" if variable == "OTEL_SERVICE_NAME" else "team=bi, service.name=etl"
    monkeypatch.setenv(variable, said)
    with closing(recorder("taskrunner-agent", {variable: said})) as agent:
        agent.record(span("attempt", Kind.CONSUMER))
    assert collector.spans()["attempt"][1]["service.name"] == "etl"


def test_an_endpoint_is_enough_for_traces(collector: Collector) -> None:
    with (
        closing(
            tracing_of("taskrunner-agent", {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
        ) as tracing,
        tracing.span("work", Kind.INTERNAL),
    ):
        pass
    assert set(collector.spans()) == {"work"}
