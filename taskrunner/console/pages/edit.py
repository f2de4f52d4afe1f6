"""`/p/ID/definition/edit`: change the definition: look at what would come of it, then put it.

Secrets are masked in the text, as everywhere; a mask that is put back stands for the secret that is
stored in its place.
"""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.once import once
from taskrunner.console.pages.answers import pipeline_of, saying, shown
from taskrunner.console.views import addresses
from taskrunner.console.views.definitions import text_of
from taskrunner.console.views.edits import EditPage, checked_page, mark_of, new_page
from taskrunner.console.views.pipelines import line
from taskrunner.console.visit import Visit
from taskrunner.errors import InvalidRequest
from taskrunner.service.auth import PUT
from taskrunner.service.v1.definitions import show_definition
from taskrunner.service.v1.edit_shapes import DefinitionPut
from taskrunner.service.v1.edits import put_definition

#: What is said where somebody wants to put what nobody has looked at.
_CHANGED = "It was changed since it was checked: look at it once more, then put it."


def edit(visit: Visit) -> Answer:
    """The version that was put last, to be changed."""
    visit.permit.check_action(PUT)
    found = pipeline_of(visit)
    key, version = found.summary.id, found.latest_version
    text = text_of({"objects": []})
    if version:
        text = text_of(visit.ask(show_definition, pipeline_id=key, version=str(version)).definition)
    return _shown(visit, new_page(key, text, version))


def put(visit: Visit) -> Answer:
    """`POST`: say what would come of it; or put it, if that has been said of this very text."""
    visit.permit.check_action(PUT)
    key, text = visit.names["pipeline_id"], visit.field("text").replace("\r\n", "\n")
    based_on = _number(visit.field("based_on"))
    if visit.field("put") != "true":
        return _checked(visit, text, based_on)
    if visit.field("mark") != mark_of(text):
        return _checked(visit, text, based_on, _CHANGED)
    back = addresses.pipeline(key, "definition")

    def work() -> Answer:
        try:
            _asked(visit, text, based_on, dry_run=False)
        except InvalidRequest as error:
            return _checked(visit, text, based_on, str(error))
        return Answer(go_to=saying(back, "put"))

    return once(visit, work, again=Answer(go_to=saying(back, "again")))


def _checked(visit: Visit, text: str, based_on: int, problem: str = "") -> Answer:
    found = _asked(visit, text, based_on, dry_run=True)
    page = checked_page(visit.names["pipeline_id"], text, based_on, found)
    return _shown(visit, page, problem)


def _asked(visit: Visit, text: str, based_on: int, *, dry_run: bool) -> DefinitionPut:
    key = visit.names["pipeline_id"]
    found: DefinitionPut = visit.ask(
        put_definition, pipeline_id=key, text=text, based_on=based_on, dry_run=dry_run
    )
    return found


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise InvalidRequest(f"based_on: wanted the number of a version, found {text!r}")
    return int(text[:9])


def _shown(visit: Visit, page: EditPage, problem: str = "") -> Answer:
    found = pipeline_of(visit)
    return shown(
        visit,
        "edit.html",
        pipeline=found,
        line=line(found.summary),
        page=page,
        problem=problem,
    )
