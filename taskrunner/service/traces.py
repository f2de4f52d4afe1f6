"""What the edge tells of the calls that it answers, as spans (`taskrunner.tracing`).

Names of attributes are OpenTelemetry's own where it has some; they are a stable interface
(docs/operate.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from taskrunner.errors import ServiceFault
from taskrunner.model.task import Task
from taskrunner.service.bodies import ClientGone
from taskrunner.tracing import Kind, Span, Tracing

PIPELINE, ATTEMPT = "taskrunner.pipeline_id", "taskrunner.attempt_id"
GROUP, INSTANCES = "taskrunner.worker_group", "taskrunner.instances"


def answering(tracing: Tracing) -> AbstractContextManager[Span]:
    """The block answers a call, or raises why it does not."""
    if tracing.recorder is None:
        return tracing.span("other", Kind.SERVER)
    return _answering(tracing)


@contextmanager
def _answering(tracing: Tracing) -> Iterator[Span]:
    fault: ServiceFault | None = None
    with tracing.span("other", Kind.SERVER) as span:
        try:
            yield span
        except ServiceFault as error:
            tell_fault(span, error)
            fault = error
        except ClientGone:
            span.is_dropped = True  # there is nobody to be answered
            raise
    if fault is not None:
        raise fault


def name_route(span: Span, operation: str, method: str, path: str) -> None:
    """Which call of /v1 it is; `path` has the names of what stands in it, not the things."""
    span.name = operation
    span.note("http.request.method", method)
    span.note("http.route", path)


def name_call(span: Span, operation: str) -> None:
    """Which operation of AWS's API it is."""
    span.name = operation
    span.note("rpc.system", "aws-api")
    span.note("rpc.service", "DataPipeline")
    span.note("rpc.method", operation)


def tell_message(span: Span, message: Any) -> None:
    """What a call is about, once it is known that its sender may ask that."""
    span.task_id = getattr(message, "task_id", None)
    span.note(PIPELINE, getattr(message, "pipeline_id", None))


def tell_fault(span: Span, fault: ServiceFault) -> None:
    """That a call was refused: an error of the service's own only where it is to blame."""
    span.note("error.type", fault.code)
    if fault.status >= 500:
        span.error = fault.code


def tell_hand_out(span: Span, task: Task, worker_group: str, hostname: str | None) -> None:
    """Which task was handed out, to whom: the first span of its trace."""
    span.task_id, span.is_hand_out, span.is_dropped = task.task_id, True, False
    span.note(PIPELINE, task.pipeline_id)
    span.note(ATTEMPT, task.attempt_id)
    span.note(GROUP, worker_group)
    span.note("taskrunner.runner_host", hostname)
