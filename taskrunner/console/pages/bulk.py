"""`POST /bulk/VERB`: many pipelines at once, those that are chosen or all that match the filter.

All that match are changed in portions, each by a form of its own: the page shows how far it has
come and sends the next one, by itself where it may run scripts. Who closes it stops it there.
"""

from __future__ import annotations

from collections.abc import Mapping

from taskrunner.console.edge import Answer
from taskrunner.console.once import once
from taskrunner.console.pages.actions import AGAIN, planned
from taskrunner.console.pages.answers import saying, shown
from taskrunner.console.views import bulk as views
from taskrunner.console.views.addresses import local
from taskrunner.console.views.filters import read_filter
from taskrunner.console.visit import Visit
from taskrunner.errors import InvalidRequest
from taskrunner.service.handler import Handler
from taskrunner.service.v1 import actions
from taskrunner.service.v1.faults import NotFound
from taskrunner.service.v1.outcomes import Outcomes

BULK: Mapping[str, Handler] = {
    "pause": actions.bulk_pause,
    "resume": actions.bulk_resume,
    "activate": actions.bulk_activate,
    "rerun": actions.bulk_rerun,
}
#: Pipelines that are changed by one form: a second's work, or a few of reruns.
PORTION = 50


def bulk(visit: Visit) -> Answer:
    """First what would be done about the pipelines, then it is done."""
    verb = visit.names["verb"]
    if verb not in BULK:
        raise NotFound(f"there is no action {verb!r} for many pipelines")
    texts = _which(visit)
    if visit.field("sure") != "true":
        found = _asked(visit, verb, texts, dry_run="true")
        return planned(visit, views.bulk_plan(verb, found, texts), f"/bulk/{verb}")

    def work() -> Answer:
        found = _asked(visit, verb, texts, dry_run="false")
        page = views.progress(verb, found, visit.form)
        return shown(visit, "bulk.html", page=page, action=f"/bulk/{verb}")

    again = saying(local(visit.field("to")), AGAIN)
    return once(visit, work, again=Answer(go_to=again))


def _asked(visit: Visit, verb: str, texts: Mapping[str, list[str]], *, dry_run: str) -> Outcomes:
    members = {"dry_run": dry_run}
    if verb == "rerun":
        members["runs"] = str(views.RUNS)
    if not texts.get("ids"):
        members["limit"] = str(PORTION)
    found: Outcomes = visit.asked(BULK[verb], texts, **members)
    return found


def _which(visit: Visit) -> Mapping[str, list[str]]:
    """The pipelines that a form means, as /v1 takes it. Raises InvalidRequest."""
    if visit.field("every") != "true":
        ids = [key for key in visit.form.get("ids", []) if key]
        if not ids:
            raise InvalidRequest("no pipeline was chosen")
        return {"ids": ids}
    wanted = read_filter(visit.field("filter"))
    if wanted.problem:
        raise InvalidRequest(wanted.problem)
    texts = dict(wanted.members) or {"every": ["true"]}
    if marker := visit.field("marker"):
        texts["marker"] = [marker]
    return texts
