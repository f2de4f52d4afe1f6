"""`/p/ID/i/INSTANCE`: an instance, with its last attempt or another one."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import shown
from taskrunner.console.views.instances import instance_page
from taskrunner.console.views.pipelines import line
from taskrunner.console.visit import Visit
from taskrunner.service.v1.faults import NotFound
from taskrunner.service.v1.instances import show_attempt, show_instance
from taskrunner.service.v1.pipelines import show_pipeline


def instance(visit: Visit) -> Answer:
    """The instance: what it is, why it failed, what became of it."""
    key = visit.names["pipeline_id"]
    pipeline = visit.ask(show_pipeline, pipeline_id=key, runs=14)
    found = visit.ask(show_instance, pipeline_id=key, instance_id=visit.names["instance_id"])
    wanted = visit.names.get("number")
    tries = found.attempts
    if wanted is not None:
        tries = [one for one in tries if str(one.number) == wanted]
        if not tries:
            raise NotFound(f"{found.summary.id} has no attempt {wanted}")
    attempt = None
    if tries:
        attempt = visit.ask(show_attempt, pipeline_id=key, attempt_id=tries[-1].id)
    page = instance_page(key, found, attempt)
    return shown(visit, "instance.html", pipeline=pipeline, line=line(pipeline.summary), page=page)
