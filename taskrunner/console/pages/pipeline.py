"""`/p/ID`: one pipeline, a tab a question."""

from __future__ import annotations

from contextlib import suppress

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import instances_of_run, moment_of, pipeline_of, shown
from taskrunner.console.pages.instance import page_of
from taskrunner.console.views import addresses
from taskrunner.console.views.grid import grid_page
from taskrunner.console.views.pipelines import line
from taskrunner.console.views.runs import bars, more_of_run, run_line
from taskrunner.console.visit import Visit
from taskrunner.service.v1.faults import NotFound
from taskrunner.service.v1.run_detail import show_run
from taskrunner.service.v1.runs import list_runs, show_grid, show_states

#: A run has so many instances on a page.


def pipeline(visit: Visit) -> Answer:
    """The pipeline: its grid."""
    return Answer(go_to=addresses.pipeline(visit.names["pipeline_id"], "grid"))


def grid(visit: Visit) -> Answer:
    """Components by runs."""
    key = visit.names["pipeline_id"]
    found = pipeline_of(visit)
    wanted = {name: visit.query[name] for name in ("until", "n") if name in visit.query}
    structure = visit.asked(show_grid, wanted, pipeline_id=key)
    runs, cells = structure.runs, ()
    if runs:
        cells = visit.ask(
            show_states, pipeline_id=key, first=runs[-1].start, last=runs[0].start, since=None
        ).cells
    page = grid_page(key, structure, cells, now=visit.now, query=visit.query)
    cell = None
    if (chosen := visit.first("cell")) and not visit.is_part:
        # It may have gone since the address was written down: the grid is shown all the same.
        with suppress(NotFound):
            cell = page_of(visit, chosen)
    return shown(visit, "grid.html", pipeline=found, line=line(found.summary), page=page, cell=cell)


def runs(visit: Visit) -> Answer:
    """Runs, newest first."""
    key = visit.names["pipeline_id"]
    found = pipeline_of(visit)
    wanted = {name: visit.query[name] for name in ("marker", "limit") if name in visit.query}
    page = visit.asked(list_runs, wanted, pipeline_id=key)
    return shown(
        visit,
        "runs.html",
        pipeline=found,
        line=line(found.summary),
        lines=[run_line(key, run, visit.now) for run in page.runs],
        more=addresses.with_query(visit.path, visit.query, marker=page.marker)
        if page.marker
        else "",
    )


def run(visit: Visit) -> Answer:
    """One run: its instances in time."""
    key = visit.names["pipeline_id"]
    start = moment_of(visit.names["start"])
    found = pipeline_of(visit)
    instances = instances_of_run(visit, start)
    detail = None
    if instances.instances:
        detail = visit.ask(show_run, pipeline_id=key, start=start)
    return shown(
        visit,
        "run.html",
        pipeline=found,
        line=line(found.summary),
        start=start,
        run=run_line(key, detail.run, visit.now) if detail else None,
        bars=bars(key, instances.instances, visit.now, detail),
        more_of_it=more_of_run(key, detail, visit.now) if detail else None,
        more=instances.marker is not None,
    )
