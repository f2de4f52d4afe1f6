"""Carrying out where a resource runs: its handle, and the worker group of those who use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from taskrunner.model.catalog.effects import Way
from taskrunner.model.instances import Category, Components, DependencyKind
from taskrunner.model.rows import InstanceRow
from taskrunner.model.validate import Finding, findings_of_places
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.service.rerun import in_portions
from taskrunner.service.resources.base import agents_of
from taskrunner.service.resources.rules import Resource, Rules
from taskrunner.service.resources.targets import Target, Where
from taskrunner.service.store import links
from taskrunner.service.store.places import move_to_group
from taskrunner.service.store.rows import PipelineRow

#: What the handles of resources begin with for which nothing is launched.
_GROUP, _EXTERNAL = "group:", "external:"


def group_of(handle: str | None) -> str | None:
    """The worker group that a resource's work goes to in place of its own."""
    if handle and handle.startswith(_GROUP):
        return handle.removeprefix(_GROUP)
    return agents_of(handle)


def is_awaited(handle: str | None) -> bool:
    """Whether somebody else is to start the resource's runner."""
    return bool(handle and handle.startswith(_EXTERNAL))


def is_launched(handle: str | None) -> bool:
    """Whether a provider has launched something."""
    return bool(handle) and not is_awaited(handle) and not (handle or "").startswith(_GROUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a resource is to run now."""

    #: Its handle, or none: a provider has one once it has launched something.
    handle: str | None
    #: What the rules say of it; None: there are no rules.
    target: Target | None = None
    #: The worker group of those who use it.
    group: str
    #: What is to be said while it waits for a runner.
    waits: str | None = None
    #: Whether nobody said that it should wait.
    unmatched: bool = False


def place_of(row: InstanceRow, pipeline: PipelineRow, rules: Rules) -> Place:
    """What the rules say of a resource's instance."""
    own = row.worker_group or ""
    resource = Resource(
        type=row.type, id=row.component_id, pipeline=pipeline.name, tags=dict(pipeline.tags)
    )
    rule = rules.first(resource)
    external = f"{_EXTERNAL}{own}"
    by_hand = f"an agent of the worker group {own!r}, started by hand, takes its work"
    if rule is None:
        waits = f"{rules.unmatched(resource)}. Until then {by_hand}"
        return Place(handle=external, group=own, waits=waits, unmatched=True)
    if rule.target.where is Where.GROUP:
        return Place(handle=f"{_GROUP}{rule.target.group}", group=rule.target.group)
    if rule.target.where is not Where.NONE:
        return Place(handle=None, group=own, target=rule.target)
    return Place(handle=external, group=own, waits=f"nothing is started, by {rule}: {by_hand}")


def used_resources(
    components: Components, pipeline: str, tags: Mapping[str, str]
) -> Iterator[Resource]:
    """The resources of a definition that something runs on."""
    for component_id, category in components.runnable.items():
        if category is Category.RESOURCE and components.used_by(component_id):
            type_name = components.objects[component_id].type or ""
            yield Resource(type=type_name, id=component_id, pipeline=pipeline, tags=tags)


def look_at_places(
    pipeline: PipelineRow, loaded: LoadedDefinition, rules: Rules | None
) -> Sequence[Finding]:
    """A warning for each resource in use that no rule matches, and each field that does nothing."""
    if rules is None:
        return ()
    given = (loaded.components, pipeline.name, dict(pipeline.tags))
    unmatched = [found for found in used_resources(*given) if rules.first(found) is None]
    return (
        *(nowhere_to_run(found.id, rules.unmatched(found)) for found in unmatched),
        *findings_of_places(loaded.definition, ways_of(*given, rules)),
    )


def ways_of(
    components: Components, pipeline: str, tags: Mapping[str, str], rules: Rules
) -> Mapping[str, frozenset[Way]]:
    """What stands behind each resource in use that a rule matches, by its id."""
    used = ((found.id, rules.first(found)) for found in used_resources(components, pipeline, tags))
    return {
        key: frozenset({_AS_GROUP.get(rule.target.where) or Way(rule.target.where)})
        for key, rule in used
        if rule is not None
    }


#: An agent that somebody else starts is no other than one of a group.
_AS_GROUP = {Where.NONE: Way.GROUP}


def nowhere_to_run(component_id: str, message: str) -> Finding:
    """The finding that no rule matches a resource."""
    code = "resource-nowhere"
    return Finding(id=component_id, field=None, code=code, message=message, line=None, column=None)


def move_users(conn: Connection, resource: InstanceRow, group: str) -> bool:
    """Have those who use a resource wait in a worker group; whether any waited in another.

    What is handed out stays with its runner; only if it comes back does it go to the group.
    """
    found = links.dependents_of(conn, resource.pipeline_id, [resource.instance_id])
    users = [
        user.instance_id
        for user in found.get(resource.instance_id, ())
        if user.kind is DependencyKind.RESOURCE
    ]
    moved = [move_to_group(conn, resource.pipeline_id, some, group) for some in in_portions(users)]
    return any(moved)
