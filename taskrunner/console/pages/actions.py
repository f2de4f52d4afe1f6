"""Actions: what would be done, and the doing. Each is a form that is sent, never a link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taskrunner.console.edge import Answer
from taskrunner.console.once import once
from taskrunner.console.pages.answers import saying, shown
from taskrunner.console.views import actions as views
from taskrunner.console.views import addresses
from taskrunner.console.views.addresses import local
from taskrunner.console.views.parameters import Parameter, parameters_of, with_values_of
from taskrunner.console.views.pipelines import line
from taskrunner.console.visit import Visit
from taskrunner.errors import InvalidRequest
from taskrunner.service.handler import Handler
from taskrunner.service.v1 import actions, changes
from taskrunner.service.v1.definitions import show_definition
from taskrunner.service.v1.faults import NotFound
from taskrunner.service.v1.pipelines import show_pipeline

OF_INSTANCES: Mapping[str, Handler] = {
    "rerun": changes.rerun,
    "cancel": changes.cancel,
    "finish": changes.finish,
}
OF_PIPELINE: Mapping[str, Handler] = {
    "pause": actions.pause,
    "resume": actions.resume,
    "deactivate": actions.deactivate,
}
#: The prefix of a parameter's value in a form.
VALUE = "value-"
#: What is told of a form that was sent before.
AGAIN = "again"


def act(visit: Visit) -> Answer:
    """`POST /p/ID/do/VERB`: do it, once, and go back to where the form was."""
    back = local(visit.field("to") or addresses.pipeline(visit.names["pipeline_id"], "grid"))
    return once(visit, lambda: _done(visit, back), again=Answer(go_to=saying(back, AGAIN)))


def _done(visit: Visit, back: str) -> Answer:
    key, verb = visit.names["pipeline_id"], visit.names["verb"]
    if verb in OF_PIPELINE:
        visit.asked(OF_PIPELINE[verb], visit.form, pipeline_id=key)
        return Answer(go_to=saying(back, verb))
    if verb == "backfill":
        done = visit.asked(changes.backfill_periods, _moments(visit.form), pipeline_id=key)
        if done.backfill_id is not None:
            back = addresses.backfill(key, done.backfill_id)
        return Answer(go_to=saying(back, f"{verb}:{done.count}"))
    if verb not in OF_INSTANCES:
        raise NotFound(f"there is no action {verb!r}")
    changed = visit.asked(OF_INSTANCES[verb], visit.form, pipeline_id=key)
    return Answer(go_to=saying(back, f"{verb}:{changed.count}"))


def plan(visit: Visit) -> Answer:
    """`POST /p/ID/plan/VERB`: what would be done about instances, with a button that does it."""
    key, verb = visit.names["pipeline_id"], visit.names["verb"]
    if verb not in OF_INSTANCES:
        raise NotFound(f"there is no action {verb!r}")
    found = visit.asked(OF_INSTANCES[verb], visit.form, pipeline_id=key, dry_run="true")
    page = views.plan(
        key,
        verb,
        found,
        visit.form.get("ids", []),
        downstream=visit.field("downstream") == "true",
    )
    return planned(visit, page, f"{addresses.pipeline(key)}/do/{verb}")


def activate_form(visit: Visit) -> Answer:
    """`GET /p/ID/activate`: a form for the values of parameters; `like`: of that version."""
    key = visit.names["pipeline_id"]
    pipeline = visit.ask(show_pipeline, pipeline_id=key, runs=14)
    if not pipeline.latest_version:
        raise InvalidRequest("no definition has been put: there is nothing to activate")
    definition = visit.ask(show_definition, pipeline_id=key, version="latest")
    parameters, like = parameters_of(definition.definition), visit.first("like")
    if like:
        earlier = visit.ask(show_definition, pipeline_id=key, version=like)
        parameters = with_values_of(parameters, earlier.definition)
    return shown(
        visit,
        "activate.html",
        pipeline=pipeline,
        line=line(pipeline.summary),
        parameters=parameters,
        prefix=VALUE,
        like=like,
        command=views.command("pipelines", "activate", key, *_given_values(parameters)),
    )


def _given_values(parameters: Sequence[Parameter]) -> Sequence[str]:
    return [word for one in parameters if one.filled for word in ("-p", f"{one.id}={one.filled}")]


def deactivate_form(visit: Visit) -> Answer:
    """`GET /p/ID/deactivate`: what goes on, and what is to become of it."""
    key = visit.names["pipeline_id"]
    pipeline = visit.ask(show_pipeline, pipeline_id=key, runs=14)
    return shown(
        visit,
        "deactivate.html",
        pipeline=pipeline,
        line=line(pipeline.summary),
        command=views.command("pipelines", "deactivate", key),
    )


def activate(visit: Visit) -> Answer:
    """`POST /p/ID/activate`: with the values that were given; what is empty stays as it is."""
    key = visit.names["pipeline_id"]
    values = {
        name.removeprefix(VALUE): tuple(text for text in texts if text)
        for name, texts in visit.form.items()
        if name.startswith(VALUE) and any(texts)
    }
    back = addresses.pipeline(key, "grid")

    def work() -> Answer:
        visit.ask(actions.activate, pipeline_id=key, parameter_values=values, start=None)
        return Answer(go_to=saying(back, "activate"))

    return once(visit, work, again=Answer(go_to=saying(back, AGAIN)))


def backfill(visit: Visit) -> Answer:
    """`GET /p/ID/backfill`: which periods; once they are named, what each would overwrite."""
    key = visit.names["pipeline_id"]
    pipeline = visit.ask(show_pipeline, pipeline_id=key, runs=14)
    page, problem = None, ""
    if visit.first("first") and visit.first("last"):
        try:
            found = visit.asked(
                changes.backfill_periods, _moments(visit.query), pipeline_id=key, dry_run="true"
            )
            page = views.backfill_plan(key, found, visit.query)
        except InvalidRequest as error:
            problem = str(error)
    return shown(
        visit,
        "backfill.html",
        pipeline=pipeline,
        line=line(pipeline.summary),
        plan=page,
        problem=problem,
        form=visit.query,
    )


def planned(visit: Visit, page: views.Plan, address: str) -> Answer:
    """What would be done, with a button that sends the same form once more and does it."""
    hidden = [(name, text) for name, texts in visit.form.items() for text in texts]
    return shown(visit, "plan.html", plan=page, action=address, hidden=hidden)


def _moments(form: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
    """What `<input type=datetime-local>` says, without a zone, is in UTC."""

    def whole(text: str) -> str:
        return text if text.endswith("Z") or "+" in text else f"{text}Z"

    given: dict[str, list[str]] = {key: list(values) for key, values in form.items()}
    for key in ("first", "last"):
        if given.get(key):
            given[key] = [whole(text) for text in given[key] if text]
    return given
