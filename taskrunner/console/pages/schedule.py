"""`/p/ID/schedule?month=2026-11`: a month, when it runs next, and what of the past did not run."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import pipeline_of, shown
from taskrunner.console.views.calendar import calendar_page, month_of, span_of
from taskrunner.console.views.pipelines import line
from taskrunner.console.views.schedule import schedule_page
from taskrunner.console.visit import Visit
from taskrunner.service.v1.calendar import list_periods
from taskrunner.service.v1.schedule import show_schedule

#: Periods to come, and of the past.
_PERIODS = 50


def schedule(visit: Visit) -> Answer:
    """A month as a calendar, and the periods of its schedules as lists."""
    key = visit.names["pipeline_id"]
    found = pipeline_of(visit)
    page = schedule_page(key, visit.ask(show_schedule, pipeline_id=key, n=_PERIODS))
    month = month_of(visit.first("month"), visit.now)
    first, last = span_of(month)
    periods = visit.ask(list_periods, pipeline_id=key, first=first, last=last)
    return shown(
        visit,
        "schedule.html",
        pipeline=found,
        line=line(found.summary),
        page=page,
        month=calendar_page(key, month, periods, visit.now),
    )
