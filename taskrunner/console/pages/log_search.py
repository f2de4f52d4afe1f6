"""`/p/ID/i/INSTANCE/N/log/search?text=…`: the lines of a log that have a text."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import pipeline_of, shown
from taskrunner.console.pages.log import attempt_of, stream_of
from taskrunner.console.views import addresses
from taskrunner.console.views.logs import search_view
from taskrunner.console.views.pipelines import line
from taskrunner.console.visit import Visit
from taskrunner.service.v1.faults import NotKept
from taskrunner.service.v1.instances import show_instance
from taskrunner.service.v1.logs import search_log


def log_search(visit: Visit) -> Answer:
    """Lines with a link each to where they stand."""
    key, instance_id = visit.names["pipeline_id"], visit.names["instance_id"]
    pipeline = pipeline_of(visit)
    instance = visit.ask(show_instance, pipeline_id=key, instance_id=instance_id)
    attempt = attempt_of(instance, visit.names["number"])
    text, stream, found, problem = visit.first("text"), stream_of(visit), None, ""
    if text:
        texts = {name: visit.query[name] for name in ("marker",) if name in visit.query}
        members = {"pipeline_id": key, "attempt_id": attempt.id, "text": text, "stream": stream}
        try:
            found = visit.asked(search_log, texts, **members)
        except NotKept as error:
            problem = str(error)
    address = f"{addresses.instance(key, instance_id, attempt.number)}/log"
    return shown(
        visit,
        "log_search.html",
        pipeline=pipeline,
        line=line(pipeline.summary),
        instance=instance,
        attempt=attempt,
        page=search_view(address, stream, text, found, problem=problem),
    )
