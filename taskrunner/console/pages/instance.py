"""`/p/ID/i/INSTANCE`: an instance, with its last attempt or another one."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import shown
from taskrunner.console.pages.log import attempt_of
from taskrunner.console.views.instances import instance_page
from taskrunner.console.views.pipelines import line
from taskrunner.console.visit import Visit
from taskrunner.errors import ServiceFault
from taskrunner.model.states import INSTANCE_TERMINAL, AttemptStatus
from taskrunner.service.v1.instances import show_attempt, show_instance
from taskrunner.service.v1.logs import show_log
from taskrunner.service.v1.pipelines import show_pipeline
from taskrunner.service.v1.requests import LogName
from taskrunner.service.v1.shapes import Attempt, LogPage
from taskrunner.service.v1.why import show_why

#: So much is read of a log to show its last lines.
_TAIL_BYTES = 8 << 10
_FAILED = {AttemptStatus.FAILED, AttemptStatus.TIMEDOUT}


def instance(visit: Visit) -> Answer:
    """The instance: what it is, why it failed, what became of it."""
    key = visit.names["pipeline_id"]
    pipeline = visit.ask(show_pipeline, pipeline_id=key, runs=14)
    found = visit.ask(show_instance, pipeline_id=key, instance_id=visit.names["instance_id"])
    wanted = visit.names.get("number")
    tries = found.attempts if wanted is None else [attempt_of(found, wanted)]
    attempt, tail = None, None
    if tries:
        attempt = visit.ask(show_attempt, pipeline_id=key, attempt_id=tries[-1].id)
        tail = _tail(visit, attempt)
    causes = ()
    if found.summary.status not in INSTANCE_TERMINAL:
        why = visit.ask(show_why, pipeline_id=key, object_id=found.summary.id)
        causes = tuple(cause for one in why.waiting for cause in one.causes) or why.pipeline
    page = instance_page(key, found, attempt, tail, causes)
    return shown(visit, "instance.html", pipeline=pipeline, line=line(pipeline.summary), page=page)


def _tail(visit: Visit, attempt: Attempt) -> LogPage | None:
    """The end of what an attempt that failed said of errors, where it can be read."""
    if attempt.summary.status not in _FAILED:
        return None
    for stream in (LogName.ERROR, LogName.ACTIVITY):
        try:
            found: LogPage = visit.ask(
                show_log,
                pipeline_id=visit.names["pipeline_id"],
                attempt_id=attempt.summary.id,
                stream=stream,
                offset=None,
                before=None,
                limit=_TAIL_BYTES,
            )
        except ServiceFault:
            return None
        if found.text.strip():
            return found
    return None
