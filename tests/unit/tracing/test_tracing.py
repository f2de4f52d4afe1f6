from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from taskrunner.testing import FakeClock
from taskrunner.tracing import Kind, Tracing, ids_of, tracing_of
from tests.unit.tracing.spans import Told

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def test_a_span_is_from_its_begin_to_its_end() -> None:
    told, clock = Told(), FakeClock()
    begun = clock.now()
    with told.tracing(clock).span("work", Kind.INTERNAL) as span:
        clock.advance(timedelta(seconds=3))
        span.note("size", 2)
        span.note("unknown", None)
    (found,) = told.spans
    assert (found.began, found.ended) == (begun, begun + timedelta(seconds=3))
    assert (found.attributes, found.error) == ({"size": 2}, None)


def test_an_error_is_told_by_its_name_alone_and_goes_on() -> None:
    told = Told()
    with (
        pytest.raises(ValueError, match="s3cret"),
        told.tracing(FakeClock()).span("work", Kind.INTERNAL),
    ):
        raise ValueError("s3cret")
    assert [span.error for span in told.spans] == ["ValueError"]


def test_what_is_dropped_is_not_told() -> None:
    told = Told()
    with told.tracing(FakeClock()).span("work", Kind.INTERNAL) as span:
        span.is_dropped = True
    assert told.spans == []


def test_the_ids_of_a_task_are_known_to_whoever_has_its_taskid_and_tell_nothing_of_it() -> None:
    task_id = "f" * 64
    trace, first = ids_of(task_id)
    assert ids_of(task_id) == (trace, first)
    assert ids_of("e" * 64) != (trace, first)
    assert 0 < trace < 1 << 128
    assert 0 < first < 1 << 64
    assert "ffff" not in f"{trace:x}{first:x}"
    # A service may send whatever JSON can say.
    assert ids_of("\udc80") != ids_of("\udc81")


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {ENDPOINT: ""},
        {ENDPOINT: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {ENDPOINT: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_an_endpoint_nothing_is_traced(environ: dict[str, str]) -> None:
    with capture_logs() as logs:
        tracing = tracing_of("taskrunner-agent", environ)
    assert (tracing.recorder, logs) == (None, [])
    with tracing.span("work", Kind.INTERNAL):
        pass
    tracing.close()


def test_a_protocol_that_is_not_spoken_is_told_and_the_program_goes_on() -> None:
    environ = {ENDPOINT: "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with capture_logs() as logs:
        assert tracing_of("taskrunner-agent", environ).recorder is None
    assert [line["event"] for line in logs] == ["traces cannot be sent"]
    assert "not by grpc" in logs[0]["error"]


def test_the_last_spans_are_sent_at_the_end() -> None:
    told = Told()
    Tracing(recorder=told, clock=FakeClock()).close()
    assert told.closed
