"""`/waiting`, `/p/ID/waiting`: why things wait, and the command that mends it."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import shown
from taskrunner.console.views import addresses
from taskrunner.console.views.pipelines import line
from taskrunner.console.views.waiting import cause_lines, groups
from taskrunner.console.visit import Visit
from taskrunner.errors import PipelineDeleted, PipelineNotFound
from taskrunner.service.v1.pipelines import list_pipelines, show_pipeline
from taskrunner.service.v1.shapes import Why
from taskrunner.service.v1.why import show_why

#: So many pipelines are looked at for a page.
_ON_PAGE = "50"


def waiting(visit: Visit) -> Answer:
    """What waits in all pipelines, by its cause."""
    texts = {key: visit.query[key] for key in ("marker",) if key in visit.query}
    wanted = {"live": "true", "limit": _ON_PAGE, "runs": "1", "sort": "name"}
    page = visit.asked(list_pipelines, texts, **wanted)
    found = [(one, why) for one in page.pipelines if (why := _why(visit, one.id)) is not None]
    more = addresses.with_query("/waiting", visit.query, marker=page.marker)
    return shown(
        visit,
        "waiting.html",
        groups=groups(found),
        more=more if page.marker else "",
        total=page.total,
    )


def of_pipeline(visit: Visit) -> Answer:
    """What waits in a pipeline."""
    key = visit.names["pipeline_id"]
    pipeline = visit.ask(show_pipeline, pipeline_id=key, runs=14)
    why = visit.ask(show_why, pipeline_id=key, object_id=None)
    return shown(
        visit,
        "pipeline_waiting.html",
        pipeline=pipeline,
        line=line(pipeline.summary),
        whole=cause_lines(why.pipeline),
        groups=groups([(pipeline.summary, why)]),
    )


def _why(visit: Visit, pipeline_id: str) -> Why | None:
    """Why a pipeline waits; None: it has gone meanwhile, or is not for the visitor's groups."""
    try:
        found: Why = visit.ask(show_why, pipeline_id=pipeline_id, object_id=None)
    except (PipelineNotFound, PipelineDeleted):
        return None
    return found
