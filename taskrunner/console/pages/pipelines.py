"""`/`: all pipelines."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import shown
from taskrunner.console.views.filters import read_filter
from taskrunner.console.views.pipelines import list_page
from taskrunner.console.visit import Visit
from taskrunner.errors import InvalidRequest
from taskrunner.service.v1.pipelines import list_pipelines


def pipelines(visit: Visit) -> Answer:
    """The list, the broken ones first."""
    wanted = read_filter(visit.first("filter"))
    found, problem = None, wanted.problem
    if not problem:
        texts = {**visit.query, **wanted.members}
        texts.pop("filter", None)
        try:
            found = visit.asked(list_pipelines, texts)
        except InvalidRequest as error:
            problem = str(error)
    page = list_page(found, query=visit.query, problem=problem)
    return shown(visit, "pipelines.html", page=page)
