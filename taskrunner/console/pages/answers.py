"""What pages have in common: the frame around them, and parts that htmx asks for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from taskrunner.console.edge import Answer
from taskrunner.console.render import render
from taskrunner.console.views.actions import told
from taskrunner.console.visit import Visit
from taskrunner.errors import InvalidRequest
from taskrunner.service.v1.instances import list_instances
from taskrunner.service.v1.pipelines import show_pipeline
from taskrunner.service.v1.shapes import InstanceList, Pipeline

_MOST_OF_RUN = 500


def shown(visit: Visit, template: str, **values: Any) -> Answer:
    """A page; where htmx asks for what changes, that part alone (`parts/` beside the template)."""
    name = f"parts/{template}" if visit.is_part else template
    html = render(
        name, visit=visit, now=visit.now, theme=visit.theme, told=told(visit.query), **values
    )
    return Answer(html=html)


def pipeline_of(visit: Visit) -> Pipeline:
    """The pipeline that a page's address names, with its last runs."""
    found: Pipeline = visit.ask(show_pipeline, pipeline_id=visit.names["pipeline_id"], runs=14)
    return found


def instances_of_run(visit: Visit, start: datetime) -> InstanceList:
    """The instances of the address's pipeline that begin at a time."""
    found: InstanceList = visit.ask(
        list_instances,
        pipeline_id=visit.names["pipeline_id"],
        run=start,
        component=(),
        status=(),
        limit=_MOST_OF_RUN,
        marker=None,
    )
    return found


def moment_of(text: str) -> datetime:
    """The moment that stands in an address; without a zone, in UTC. Raises InvalidRequest."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{text!r} is no moment: wanted 2026-11-30T02:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def saying(address: str, done: str) -> str:
    """The address with what was done, in place of what was done before."""
    path, _, query = address.partition("?")
    kept: Sequence[str] = [
        pair for pair in query.split("&") if pair and not pair.startswith("done=")
    ]
    return f"{path}?{'&'.join([*kept, f'done={done}'])}"
