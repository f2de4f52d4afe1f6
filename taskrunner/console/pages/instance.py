"""`/p/ID/i/INSTANCE`: an instance, with its last attempt or another one."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import pipeline_of, shown
from taskrunner.console.pages.log import attempt_of
from taskrunner.console.views import addresses
from taskrunner.console.views.instances import InstancePage, instance_page
from taskrunner.console.views.pipelines import line
from taskrunner.console.visit import Visit
from taskrunner.errors import ServiceFault
from taskrunner.model.states import INSTANCE_TERMINAL, AttemptStatus, InstanceStatus
from taskrunner.service.v1.instances import show_attempt, show_instance
from taskrunner.service.v1.logs import show_log
from taskrunner.service.v1.requests import LogName
from taskrunner.service.v1.shapes import Attempt, LogPage
from taskrunner.service.v1.why import show_why

#: So much is read of a log to show its last lines.
_TAIL_BYTES = 8 << 10
_FAILED = {AttemptStatus.FAILED, AttemptStatus.TIMEDOUT}


def instance(visit: Visit) -> Answer:
    """The instance: what it is, why it failed, what became of it."""
    pipeline = pipeline_of(visit)
    page = page_of(visit, visit.names["instance_id"], visit.names.get("number"))
    return shown(visit, "instance.html", pipeline=pipeline, line=line(pipeline.summary), page=page)


def panel(visit: Visit) -> Answer:
    """The same beside a grid, for a script; whoever comes here otherwise is led to the page."""
    key, instance_id = visit.names["pipeline_id"], visit.names["instance_id"]
    if not visit.is_part:
        return Answer(go_to=addresses.instance(key, instance_id))
    pipeline = pipeline_of(visit)
    page = page_of(visit, instance_id)
    return shown(visit, "panel.html", pipeline=pipeline, line=line(pipeline.summary), page=page)


def page_of(visit: Visit, instance_id: str, wanted: str | None = None) -> InstancePage:
    """An instance of the address's pipeline, with its last attempt or the one of a number."""
    key = visit.names["pipeline_id"]
    found = visit.ask(show_instance, pipeline_id=key, instance_id=instance_id)
    tries = found.attempts if wanted is None else [attempt_of(found, wanted)]
    attempt, tail, problem = None, None, ""
    if tries:
        attempt = visit.ask(show_attempt, pipeline_id=key, attempt_id=tries[-1].id)
        try:
            tail = _tail(visit, attempt)
        except ServiceFault as fault:
            problem = str(fault)
    causes = ()
    status = found.summary.status
    if status not in INSTANCE_TERMINAL or status is InstanceStatus.CASCADE_FAILED:
        why = visit.ask(show_why, pipeline_id=key, object_id=found.summary.id)
        causes = tuple(cause for one in why.waiting for cause in one.causes) or why.pipeline
    return instance_page(key, found, attempt, tail, causes, no_tail=problem)


def _tail(visit: Visit, attempt: Attempt) -> LogPage | None:
    """The end of what an attempt that failed said of errors. Raises ServiceFault."""
    if attempt.summary.status not in _FAILED:
        return None
    for stream in (LogName.ERROR, LogName.ACTIVITY):
        found: LogPage = visit.ask(
            show_log,
            pipeline_id=visit.names["pipeline_id"],
            attempt_id=attempt.summary.id,
            stream=stream,
            offset=None,
            before=None,
            limit=_TAIL_BYTES,
        )
        if found.text.strip():
            return found
    return None
