"""Whether any pipeline names the worker groups: the usual reason why tasks wait for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from taskrunner.doctor.case import Case, Finding, failed, passed, warned
from taskrunner.doctor.service import Way
from taskrunner.errors import WireError
from taskrunner.model.near_names import Near, nearness
from taskrunner.wire.client import Client
from taskrunner.wire.inputs import GetPipelineDefinitionInput, ListPipelinesInput, QueryObjectsInput
from taskrunner.wire.outputs import GetPipelineDefinitionOutput
from taskrunner.wire.structures import Operator, PipelineIdName, Query, Selector

_MOST_PIPELINES = 100
_MOST_NAMED = 5
#: How the ids of resources begin whose work the service sends to a worker group.
_PLACED = "group:"
#: A pipeline and its definition.
_Found = tuple[PipelineIdName, GetPipelineDefinitionOutput]


def check_groups(case: Case, way: Way) -> Iterator[Finding]:
    """One finding for each worker group."""
    try:
        pipelines = list(islice(_pipelines(way.client), _MOST_PIPELINES + 1))
        found = list(_definitions(way.client, pipelines[:_MOST_PIPELINES]))
    except WireError as error:
        yield warned(
            "worker group",
            f"whether a pipeline names it is not known: {error}",
            "no agent needs to know; if tasks stay WAITING_FOR_RUNNER, run this with credentials "
            "that may ListPipelines and GetPipelineDefinition, for example by AWS_PROFILE",
        )
        return
    users, whole = _users(found), len(pipelines) <= _MOST_PIPELINES
    for group in case.settings.worker_group:
        if group not in users and (sending := _sent_by_rules(way.client, found, group)):
            # What a service's rules are called is the service's; the handle is what they left.
            said = f"by a rule of the service it has the work of resources of {_listed(sending)}"
            yield passed(f"worker group {group}", f"{said} (@resourceId {_PLACED}{group})")
        else:
            yield _judge(group, users, case.settings.worker_group, whole=whole)


def _pipelines(client: Client) -> Iterator[PipelineIdName]:
    marker: str | None = None
    while True:
        page = client.call(ListPipelinesInput(marker=marker))
        yield from page.pipeline_id_list
        marker = page.marker
        if not (page.has_more_results and marker):
            return


def _definitions(client: Client, pipelines: Iterable[PipelineIdName]) -> Iterator[_Found]:
    for pipeline in pipelines:
        request = GetPipelineDefinitionInput(pipeline_id=pipeline.id or "")
        yield pipeline, client.call(request)


def _users(found: Iterable[_Found]) -> dict[str, list[str]]:
    """Worker group -> names of the pipelines that name it."""
    users: dict[str, list[str]] = {}
    for pipeline, definition in found:
        for group in _groups(definition):
            users.setdefault(group, []).append(_name(pipeline))
    return users


def _name(pipeline: PipelineIdName) -> str:
    return pipeline.name or pipeline.id or ""


def _sent_by_rules(client: Client, found: Iterable[_Found], group: str) -> list[str]:
    """The pipelines of whose resources the service has sent work to this group."""
    equal = Operator(type="EQ", values=(f"{_PLACED}{group}",))
    query = Query(selectors=(Selector(field_name="@resourceId", operator=equal),))
    sending: list[str] = []
    # Who may not ask is told what the definitions say.
    with suppress(WireError):
        for pipeline, definition in found:
            if any(obj.has("runsOn") for obj in definition.pipeline_objects):
                asked = QueryObjectsInput(
                    pipeline_id=pipeline.id or "", sphere="INSTANCE", query=query, limit=1
                )
                if client.call(asked).ids:
                    sending.append(_name(pipeline))
    return sending


def _groups(definition: GetPipelineDefinitionOutput) -> set[str]:
    values = {f"#{{{item.id}}}": item.value for item in definition.parameter_values}
    for parameter in definition.parameter_objects:
        if (default := parameter.attribute("default")) is not None:
            values.setdefault(f"#{{{parameter.id}}}", default)
    found = {item.string("workerGroup") for item in definition.pipeline_objects}
    return {values.get(group, group) for group in found if group}


def _judge(
    group: str, users: Mapping[str, Sequence[str]], served: Sequence[str], *, whole: bool
) -> Finding:
    name = f"worker group {group}"
    # What the agent serves as well is no mistake, unless this one is named nowhere.
    apart = users.keys() - ({*served} if group in users else {})
    near = {other: nearness(group, other) for other in sorted(apart)}
    same = [other for other, how in near.items() if how is Near.SPELLING]
    others = [*same, *(other for other, how in near.items() if how is Near.PREFIX)]
    theirs = "; ".join(f"{_listed(users[other])} names {other!r}" for other in others)
    if group in users:
        found = f"named by {_listed(users[group])}"
        if not others:
            return passed(name, found)
        return warned(name, f"{found}; but {theirs}", _IF_MEANT.format(group=group))
    if same:
        return failed(
            name,
            f"no pipeline names it, but {theirs}",
            f"each letter counts, and its case: set worker_group to {same[0]!r}",
        )
    if others:
        return warned(name, f"no pipeline names it, but {theirs}", _IF_MEANT.format(group=group))
    if not whole:
        return warned(name, f"none of the first {_MOST_PIPELINES} pipelines names it")
    known = ", ".join(sorted(users)) or "none"
    return warned(
        name,
        f"no pipeline of these credentials and this region names it; named are: {known}",
        "check the name, the region and the account; put a definition that names it; or have a "
        f"rule of the service send work of resources to it (taskrunner serve --resources "
        f"group={group})",
    )


_IF_MEANT = (
    "if {group!r} is meant there, correct workerGroup in that definition: each letter counts, and "
    "its case; if it is another group, let an agent serve it"
)


def _listed(pipelines: Sequence[str]) -> str:
    return ", ".join(sorted(pipelines)[:_MOST_NAMED])
