"""`/p/ID/alarms`: who was told what, and whether it came there."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import pipeline_of, saying, shown
from taskrunner.console.views import addresses
from taskrunner.console.views.alarms import alarms_page
from taskrunner.console.views.pipelines import line
from taskrunner.console.visit import Visit
from taskrunner.service.v1.alarms import list_alarms, retry_alarms

_ON_PAGE = "50"


def alarms(visit: Visit) -> Answer:
    """The pipeline's alarms, newest first."""
    found = pipeline_of(visit)
    key = found.summary.id
    texts = {name: visit.query[name] for name in ("status", "marker") if name in visit.query}
    page = alarms_page(
        key,
        visit.asked(list_alarms, texts, pipeline_id=key, limit=_ON_PAGE),
        query=visit.query,
    )
    return shown(visit, "alarms.html", pipeline=found, line=line(found.summary), page=page)


def retry(visit: Visit) -> Answer:
    """`POST`: send after all what was given up, one or all."""
    key = visit.names["pipeline_id"]
    done = visit.asked(retry_alarms, visit.form, pipeline_id=key)
    return Answer(go_to=saying(addresses.pipeline(key, "alarms"), f"alarms:{done.count}"))
