"""`/p/ID/i/INSTANCE/N/log`: a log of an attempt; its end, unless the address says otherwise."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import shown
from taskrunner.console.views import addresses
from taskrunner.console.views.actions import command
from taskrunner.console.views.logs import STREAMS, log_view
from taskrunner.console.views.pipelines import line
from taskrunner.console.visit import Visit
from taskrunner.errors import InvalidRequest
from taskrunner.model.states import ATTEMPT_TERMINAL
from taskrunner.service.v1.faults import NotFound, NotKept
from taskrunner.service.v1.instances import show_instance
from taskrunner.service.v1.logs import download_log, show_log
from taskrunner.service.v1.pipelines import show_pipeline
from taskrunner.service.v1.requests import LogName
from taskrunner.service.v1.shapes import AttemptSummary, Instance


def log(visit: Visit) -> Answer:
    """A page of a log."""
    key, instance_id = visit.names["pipeline_id"], visit.names["instance_id"]
    pipeline = visit.ask(show_pipeline, pipeline_id=key, runs=14)
    instance = visit.ask(show_instance, pipeline_id=key, instance_id=instance_id)
    attempt = attempt_of(instance, visit.names["number"])
    stream, found, problem = stream_of(visit), None, ""
    try:
        found = visit.asked(show_log, visit.query, pipeline_id=key, attempt_id=attempt.id)
    except NotKept as error:
        problem = str(error)
    address = f"{addresses.instance(key, instance_id, attempt.number)}/log"
    return shown(
        visit,
        "log.html",
        pipeline=pipeline,
        line=line(pipeline.summary),
        instance=instance,
        attempt=attempt,
        page=log_view(
            address,
            stream,
            found,
            command=command("logs", key, attempt.id, "--stream", STREAMS[stream], "--all"),
            at_end=not (visit.first("offset") or visit.first("before")),
            running=attempt.status not in ATTEMPT_TERMINAL,
            problem=problem,
        ),
    )


def file(visit: Visit) -> Answer:
    """The whole log as a file."""
    key, instance_id = visit.names["pipeline_id"], visit.names["instance_id"]
    instance = visit.ask(show_instance, pipeline_id=key, instance_id=instance_id)
    attempt = attempt_of(instance, visit.names["number"])
    members = {"pipeline_id": key, "attempt_id": attempt.id, "stream": stream_of(visit)}
    return Answer(file=visit.ask(download_log, **members))


def stream_of(visit: Visit) -> LogName:
    """The log that an address names. Raises InvalidRequest."""
    wanted = visit.first("stream", LogName.OUTPUT.value)
    if wanted not in list(LogName):
        raise InvalidRequest(f"stream: wanted {', '.join(LogName)}, found {wanted!r}")
    return LogName(wanted)


def attempt_of(instance: Instance, number: str) -> AttemptSummary:
    """The attempt of a number. Raises NotFound."""
    for one in instance.attempts:
        if str(one.number) == number:
            return one
    raise NotFound(f"{instance.summary.id} has no attempt {number}")
