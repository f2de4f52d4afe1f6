"""`/audit`, `/p/ID/audit`: who did what, when and from where."""

from __future__ import annotations

from typing import Any

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import pipeline_of, shown
from taskrunner.console.views.audit import OPERATIONS, AuditPage, audit_page
from taskrunner.console.views.pipelines import line
from taskrunner.console.visit import Visit
from taskrunner.service.v1.audit import list_audit

_ON_PAGE = "50"


def audit(visit: Visit) -> Answer:
    """The changes of all pipelines."""
    return shown(visit, "audit.html", page=_page(visit), operations=OPERATIONS)


def of_pipeline(visit: Visit) -> Answer:
    """The changes of one pipeline."""
    found = pipeline_of(visit)
    return shown(
        visit,
        "pipeline_audit.html",
        pipeline=found,
        line=line(found.summary),
        page=_page(visit, pipeline_id=found.summary.id),
        operations=OPERATIONS,
    )


def _page(visit: Visit, **members: Any) -> AuditPage:
    names = ("user", "operation", "since", "marker")
    texts = {name: visit.query[name] for name in names if name in visit.query}
    found = visit.asked(list_audit, texts, limit=_ON_PAGE, **members)
    return audit_page(found, path=visit.path, query=visit.query)
