"""What a caller may see of a pipeline, and the markers of pages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Connection

from taskrunner.errors import InvalidRequest
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.objects import Objects
from taskrunner.service.store.rows import PipelineRow
from taskrunner.wire.faults import AccessDenied


@contextmanager
def looking_at(
    service: Service, caller: Caller, pipeline_id: str
) -> Iterator[tuple[Connection, PipelineRow, Objects]]:
    """A pipeline to be read, as far as the caller may see it. Raises Pipeline{NotFound,Deleted}.

    A caller that is bound to worker groups sees the pipelines that have had work for one.
    """
    with service.objects(pipeline_id, caller) as objects:
        yield objects.conn, objects.pipeline, objects


def check_scope(service: Service, caller: Caller, pipeline_id: str | None) -> None:
    """Raise AccessDenied, or PipelineNotFound, where a bound caller asks for others' pipelines."""
    if caller.worker_groups is None:
        return
    if pipeline_id is None:
        raise AccessDenied(
            f"User: {caller.user} is bound to worker groups: wanted the pipeline_id of one pipeline"
        )
    with looking_at(service, caller, pipeline_id):
        return


def to_marker(*place: Any) -> str:
    """The marker of a page that ends at a place in an order."""
    text = json.dumps([_plain(part) for part in place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_marker(marker: str, *kinds: type) -> Sequence[Any]:
    """The place that a marker stands for. Raises InvalidRequest for one that no page gave."""
    try:
        padded = marker + "=" * (-len(marker) % 4)
        found = json.loads(base64.b64decode(padded.encode(), altchars=b"-_", validate=True))
        return [_of(kind, part) for kind, part in zip(kinds, found, strict=True)]
    except (ValueError, TypeError, RecursionError):
        raise InvalidRequest("marker: it is not one that a page of this list gave") from None


def _plain(part: Any) -> Any:
    return part.isoformat() if isinstance(part, datetime) else part


def _of(kind: type, part: Any) -> Any:
    if kind is datetime:
        return datetime.fromisoformat(part).astimezone(UTC)
    if type(part) is not kind:
        raise TypeError(part)
    return part
