"""`/p/ID/definition?version=3&against=2`: a version, what is wrong in it, and what changed."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import pipeline_of, shown
from taskrunner.console.views.definitions import definition_page, text_of
from taskrunner.console.views.pipelines import line
from taskrunner.console.visit import Visit
from taskrunner.service.v1.definition_shapes import Definition
from taskrunner.service.v1.definitions import show_definition
from taskrunner.service.v1.text_file import kept_as


def definition(visit: Visit) -> Answer:
    """The definition, secrets masked."""
    found = pipeline_of(visit)
    key, against = found.summary.id, visit.first("against")
    page = None
    if found.latest_version:
        other = _version(visit, against) if against else None
        page = definition_page(key, _version(visit, visit.first("version", "latest")), other)
    return shown(
        visit,
        "definition.html",
        pipeline=found,
        line=line(found.summary),
        page=page,
    )


def file(visit: Visit) -> Answer:
    """The same as a file in the AWS CLI's form, to be kept."""
    found = _version(visit, visit.first("version", "latest"))
    name = f"{visit.names['pipeline_id']}-{found.version}.json"
    headers = {
        "content-type": "application/json",
        "content-disposition": kept_as(name),
    }
    return Answer(html=text_of(found.definition) + "\n", headers=headers)


def _version(visit: Visit, version: str) -> Definition:
    found: Definition = visit.ask(
        show_definition, pipeline_id=visit.names["pipeline_id"], version=version
    )
    return found
