"""`/p/ID/graph?run=START`: what waits for what, and how it is in one run."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import moment_of, pipeline_of, shown
from taskrunner.console.views.graph import HIDEABLE, graph_page
from taskrunner.console.views.pipelines import line
from taskrunner.console.visit import Visit
from taskrunner.errors import InvalidRequest
from taskrunner.service.v1.runs import show_grid, show_states

#: So many of the last runs can be chosen; of any other one the address can be written.
_RUNS = 30


def graph(visit: Visit) -> Answer:
    """The graph of the definition, with the states of the run that is chosen, or the newest."""
    key, wanted = visit.names["pipeline_id"], visit.first("run")
    unknown = [word for word in visit.query.get("hide", []) if word not in HIDEABLE]
    if unknown:
        raise InvalidRequest(f"hide: wanted {' or '.join(HIDEABLE)}, found {unknown[0]!r}")
    found = pipeline_of(visit)
    structure = visit.ask(show_grid, pipeline_id=key, until=None, n=_RUNS)
    newest = structure.runs[0].start if structure.runs else None
    start, cells = moment_of(wanted) if wanted else newest, ()
    if start is not None:
        cells = visit.ask(show_states, pipeline_id=key, first=start, last=start, since=None).cells
    page = graph_page(key, structure, cells, start=start, query=visit.query)
    return shown(visit, "graph.html", pipeline=found, line=line(found.summary), page=page)
