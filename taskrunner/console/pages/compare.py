"""`/p/ID/compare?run=START&with=START`: a run beside another one, the last good one at first."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import instances_of_run, moment_of, pipeline_of, shown
from taskrunner.console.views.compare import compare_page, last_good
from taskrunner.console.views.pipelines import line
from taskrunner.console.visit import Visit
from taskrunner.errors import InvalidRequest
from taskrunner.service.v1.faults import NotFound
from taskrunner.service.v1.runs import list_runs

#: So many of the last runs can be chosen; of any other one the address can be written.
_RUNS = 50


def compare(visit: Visit) -> Answer:
    """Two runs, step by step."""
    found = pipeline_of(visit)
    key, wanted, other = found.summary.id, visit.first("run"), visit.first("with")
    runs = visit.ask(list_runs, pipeline_id=key, limit=_RUNS, marker=None).runs
    if not wanted and not runs:
        raise InvalidRequest("nothing has run yet: there is nothing to compare")
    start = moment_of(wanted) if wanted else runs[0].start
    good = last_good(runs, start)
    before = moment_of(other) if other else (good.start if good else None)
    steps = instances_of_run(visit, start).instances
    if not steps:
        raise NotFound(f"no run of {key} starts at {wanted}")
    compared = instances_of_run(visit, before).instances if before else ()
    page = compare_page(key, start, before, runs, steps, compared)
    return shown(visit, "compare.html", pipeline=found, line=line(found.summary), page=page)
