"""Whether any pipeline names the worker groups: the usual reason why tasks wait for ever."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from taskrunner.doctor.case import Case, Finding, failed, passed, warned
from taskrunner.doctor.service import Way
from taskrunner.errors import WireError
from taskrunner.wire.client import Client
from taskrunner.wire.inputs import GetPipelineDefinitionInput, ListPipelinesInput
from taskrunner.wire.outputs import GetPipelineDefinitionOutput
from taskrunner.wire.structures import PipelineIdName

_MOST_PIPELINES = 100


def check_groups(case: Case, way: Way) -> Iterator[Finding]:
    """One finding for each worker group."""
    try:
        pipelines = list(islice(_pipelines(way.client), _MOST_PIPELINES + 1))
        users = _users(way.client, pipelines[:_MOST_PIPELINES])
    except WireError as error:
        yield warned(
            "worker group",
            f"whether a pipeline names it is not known: {error}",
            "no agent needs to know; if tasks stay WAITING_FOR_RUNNER, run this with credentials "
            "that may ListPipelines and GetPipelineDefinition, for example by AWS_PROFILE",
        )
        return
    whole = len(pipelines) <= _MOST_PIPELINES
    for group in case.settings.worker_group:
        yield _judge(group, users, whole=whole)


def _pipelines(client: Client) -> Iterator[PipelineIdName]:
    marker: str | None = None
    while True:
        page = client.call(ListPipelinesInput(marker=marker))
        yield from page.pipeline_id_list
        marker = page.marker
        if not (page.has_more_results and marker):
            return


def _users(client: Client, pipelines: list[PipelineIdName]) -> dict[str, list[str]]:
    """Worker group -> names of the pipelines that name it."""
    users: dict[str, list[str]] = {}
    for pipeline in pipelines:
        request = GetPipelineDefinitionInput(pipeline_id=pipeline.id or "")
        for group in _groups(client.call(request)):
            users.setdefault(group, []).append(pipeline.name or pipeline.id or "")
    return users


def _groups(definition: GetPipelineDefinitionOutput) -> set[str]:
    values = {f"#{{{item.id}}}": item.value for item in definition.parameter_values}
    for parameter in definition.parameter_objects:
        if (default := parameter.attribute("default")) is not None:
            values.setdefault(f"#{{{parameter.id}}}", default)
    found = {item.string("workerGroup") for item in definition.pipeline_objects}
    return {values.get(group, group) for group in found if group}


def _judge(group: str, users: dict[str, list[str]], *, whole: bool) -> Finding:
    name = f"worker group {group}"
    if group in users:
        return passed(name, f"named by {', '.join(sorted(users[group])[:5])}")
    near = sorted(other for other in users if other.strip().lower() == group.strip().lower())
    if near:
        return failed(
            name,
            f"no pipeline names it, but {', '.join(users[near[0]][:5])} names {near[0]!r}",
            f"names are case-sensitive: set worker_group to {near[0]!r}",
        )
    if not whole:
        return warned(name, f"none of the first {_MOST_PIPELINES} pipelines names it")
    known = ", ".join(sorted(users)) or "none"
    return warned(
        name,
        f"no pipeline of these credentials and this region names it; named are: {known}",
        "check the name, the region and the account; or put a definition that names it",
    )
