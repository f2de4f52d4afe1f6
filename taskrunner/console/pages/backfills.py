"""`/backfills`, `/p/ID/backfills`: backfills, one of them run by run, and what is done about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskrunner.console.edge import Answer
from taskrunner.console.once import once
from taskrunner.console.pages.answers import pipeline_of, saying, shown
from taskrunner.console.views import addresses
from taskrunner.console.views.backfills import BackfillsPage, backfill_page, backfills_page
from taskrunner.console.views.pipelines import line
from taskrunner.console.visit import Visit
from taskrunner.service.handler import Handler
from taskrunner.service.v1.backfill_shapes import BackfillSummary
from taskrunner.service.v1.backfills import (
    cancel_backfill,
    list_backfill_runs,
    list_backfills,
    pause_backfill,
    resume_backfill,
    show_backfill,
)
from taskrunner.service.v1.faults import NotFound

OF_BACKFILL: Mapping[str, Handler] = {
    "pause": pause_backfill,
    "resume": resume_backfill,
    "cancel": cancel_backfill,
}
_ON_PAGE = "50"


def backfills(visit: Visit) -> Answer:
    """The backfills of all pipelines, newest first."""
    return shown(visit, "backfills.html", page=_page(visit))


def of_pipeline(visit: Visit) -> Answer:
    """The backfills of one pipeline."""
    found = pipeline_of(visit)
    page = _page(visit, pipeline_id=found.summary.id)
    return shown(
        visit, "pipeline_backfills.html", pipeline=found, line=line(found.summary), page=page
    )


def one(visit: Visit) -> Answer:
    """A backfill: how far it has come, and what has become of each of its runs."""
    found, row = pipeline_of(visit), _one(visit)
    runs = visit.ask(list_backfill_runs, backfill_id=row.id)
    page = backfill_page(row, runs, asks=visit.first("sure") == "cancel", now=visit.now)
    return shown(visit, "one_backfill.html", pipeline=found, line=line(found.summary), page=page)


def change(visit: Visit) -> Answer:
    """`POST`: pause it, let it go on, or cancel what of it has not ended."""
    verb = visit.names["verb"]
    if verb not in OF_BACKFILL:
        raise NotFound(f"there is no action {verb!r} for backfills")
    visit.permit.check_action("SetStatus")
    row = _one(visit)
    back = addresses.backfill(row.pipeline_id, row.id)

    def work() -> Answer:
        visit.ask(OF_BACKFILL[verb], backfill_id=row.id)
        return Answer(go_to=saying(back, f"{verb}-backfill"))

    return once(visit, work, again=Answer(go_to=saying(back, "again")))


def _one(visit: Visit) -> BackfillSummary:
    """The backfill of the address. Raises NotFound where it is of another pipeline."""
    key = visit.names["backfill_id"]
    found: BackfillSummary = visit.ask(show_backfill, backfill_id=key)
    if found.pipeline_id != visit.names["pipeline_id"]:
        raise NotFound(f"there is no backfill {key!r} of {visit.names['pipeline_id']}")
    return found


def _page(visit: Visit, **members: Any) -> BackfillsPage:
    texts = {name: visit.query[name] for name in ("marker",) if name in visit.query}
    found = visit.asked(list_backfills, texts, limit=_ON_PAGE, **members)
    return backfills_page(found, path=visit.path, query=visit.query)
