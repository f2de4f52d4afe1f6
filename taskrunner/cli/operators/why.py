"""`taskrunner why PIPELINE [INSTANCE]`: why it waits, and one command for each cause."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import click

from taskrunner.cli.operators.options import Asked, command
from taskrunner.cli.operators.tables import show_json
from taskrunner.cli.operators.why_by_api import why_by_api
from taskrunner.clock import SystemClock
from taskrunner.errors import CallRefused, NotAuthorized, UsageError
from taskrunner.model.why.pipelines import deleted, not_found
from taskrunner.plain import visible
from taskrunner.service.v1.schema import plain
from taskrunner.wire.api import Call
from taskrunner.wire.client import Client
from taskrunner.wire.endpoint import resolve_region
from taskrunner.wire.inputs import ListPipelinesInput
from taskrunner.wire.json_api import JsonApi, NoJsonApi
from taskrunner.wire.retrying import RetryingCalls

_EXIT_NOT_THERE = 1
_NOT_FOUND, _DELETED = "PipelineNotFoundException", "PipelineDeletedException"
#: Of the pipelines that are there, those that are compared to one that is not.
_MOST_LISTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A service that is asked."""

    client: Client
    #: The 19 operations, with second tries.
    call: Call
    region: str


def _run(asked: Asked, pipeline: str, instance: str | None) -> int:
    client = asked.client()
    tried = RetryingCalls(client.call, clock=SystemClock(), fraction=random.random)
    region = resolve_region(asked.region, os.environ)
    found, code = answer(Reached(client=client, call=tried.call, region=region), pipeline, instance)
    if asked.as_json:
        show_json(found)
    else:
        click.echo("\n".join(render(found)))
    return code


def answer(service: Reached, pipeline: str, about: str | None) -> tuple[Mapping[str, Any], int]:
    """What a service of ours says itself, or what AWS's API tells; as JSON. Raises WireError."""
    try:
        return _ask(service, pipeline, about), 0
    except CallRefused as error:
        if error.code not in {_NOT_FOUND, _DELETED}:
            raise
        if error.code == _DELETED:
            found = deleted(pipeline)
        else:
            where = str(service.client.endpoint)
            found = not_found(pipeline, where, service.region, _listed(service))
        return plain(found), _EXIT_NOT_THERE


def _ask(service: Reached, pipeline: str, about: str | None) -> Mapping[str, Any]:
    api = JsonApi(service.client)
    try:
        found: Mapping[str, Any] = api.get("pipelines", pipeline, "why", object_id=about)
    except NoJsonApi:
        found = plain(why_by_api(service.call, pipeline, about, SystemClock().now()))
    except CallRefused as error:
        # It says itself what is there to be asked about.
        if about is not None and error.code == "InvalidRequestException":
            raise UsageError(str(error)) from error
        raise
    return found


def _listed(service: Reached) -> dict[str, str]:
    """The pipelines that are there, by their ids; none where that may not be asked."""
    try:
        return {
            item.id or "": item.name or "" for item in islice(_pipelines(service), _MOST_LISTED)
        }
    except NotAuthorized:
        return {}


def _pipelines(service: Reached) -> Iterator[Any]:
    marker: str | None = None
    while True:
        page = service.call(ListPipelinesInput(marker=marker))
        yield from page.pipeline_id_list
        marker = page.marker
        if not (page.has_more_results and marker):
            return


# -- showing ------------------------------------------------------------------------------------

_INDENT = "    "


def render(found: Mapping[str, Any]) -> Iterator[str]:
    """The lines that a person reads: causes that have the same root stand together."""
    state = f" is {found['state']}" if found.get("state") else ""
    yield visible(f"Pipeline {found['pipeline_id']}{state}")
    for cause in found.get("pipeline", ()):
        yield ""
        yield from _cause_lines(cause)
    waiting: Sequence[Mapping[str, Any]] = found.get("waiting", ())
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for item in waiting:
        root = _root(item["causes"][0])
        groups.setdefault((root["code"], root["says"]), []).append(item)
    for members in groups.values():
        yield ""
        yield from _cause_lines(_root(members[0]["causes"][0]))
        for item in members:
            yield from _member_lines(item)
    if not (found.get("pipeline") or waiting):
        yield ""
        yield "Nothing of it waits, and nothing that ended last has failed."


def _root(cause: Mapping[str, Any]) -> Mapping[str, Any]:
    behind = cause.get("because") or ()
    return _root(behind[0]) if behind else cause


def _cause_lines(cause: Mapping[str, Any]) -> Iterator[str]:
    says = cause["says"]
    yield visible(f"{says[:1].upper()}{says[1:]}. [{cause['code']}]")
    where = f"{cause['where']}: " if cause.get("where") else ""
    yield visible(f"  -> {where}{cause['command']}")


def _member_lines(item: Mapping[str, Any]) -> Iterator[str]:
    others = item.get("count", 1) - 1
    more = "" if not others else f" and {others}{' or more' if item.get('more') else ''} others"
    yield visible(f"{_INDENT}{item['instance_id']}{more}: {item['status']}")
    yield from _chain(item["causes"][0])
    for cause in item["causes"][1:]:
        yield visible(f"{_INDENT}  also: {cause['says']}")


def _chain(cause: Mapping[str, Any]) -> Iterator[str]:
    """The steps from an instance to the root, which stands above already."""
    while cause.get("because"):
        yield visible(f"{_INDENT}  {cause['says']}")
        cause = cause["because"][0]


why = command(
    "why",
    _run,
    "Say why a PIPELINE waits, or one INSTANCE, attempt or component of it: each cause with one "
    "command that mends it. A service of ours tells all that it knows; of AWS's own is told what "
    "DescribeObjects shows. Exit code 1 when there is no such pipeline.",
    [click.Argument(["pipeline"]), click.Argument(["instance"], required=False)],
)
