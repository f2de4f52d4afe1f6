"""`/p/ID/schedule`: when it runs next, and what of the past did not run."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import pipeline_of, shown
from taskrunner.console.views.pipelines import line
from taskrunner.console.views.schedule import schedule_page
from taskrunner.console.visit import Visit
from taskrunner.service.v1.schedule import show_schedule

#: Periods to come, and of the past.
_PERIODS = 50


def schedule(visit: Visit) -> Answer:
    """The schedule's periods."""
    key = visit.names["pipeline_id"]
    found = pipeline_of(visit)
    page = schedule_page(key, visit.ask(show_schedule, pipeline_id=key, n=_PERIODS))
    return shown(visit, "schedule.html", pipeline=found, line=line(found.summary), page=page)
