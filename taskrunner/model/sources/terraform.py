"""Terraform's JSON (`terraform show -json`): the pipeline definitions of a plan or state."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from taskrunner.model.catalog import reference_fields
from taskrunner.model.document import Field, PipelineObject, Ref
from taskrunner.model.sources.tree import Intrinsic, ListNode, MapNode, Member, Node, Scalar

RESOURCE_TYPE = "aws_datapipeline_pipeline_definition"

_UNKNOWN = "${known after apply}"


def is_terraform(root: MapNode) -> bool:
    """Whether a JSON document is a plan or a state."""
    return root.has("format_version") and (root.has("planned_values") or root.has("values"))


def find_pipelines(root: MapNode) -> dict[str, MapNode]:
    """The values of every pipeline definition, by address; those not known yet are marked."""
    unknown = dict(_unknown_values(root))
    state = root.get("planned_values") or root.get("values")
    module = state.get("root_module") if isinstance(state, MapNode) else None
    found: dict[str, MapNode] = {}
    for resource in _resources(module):
        address = _text(resource.get("address")) or _text(resource.get("name")) or "definition"
        values = _mark(resource.get("values"), unknown.get(address))
        if _text(resource.get("type")) == RESOURCE_TYPE and isinstance(values, MapNode):
            found[address] = values
    return found


def _resources(module: Node | None) -> Iterator[MapNode]:
    """The resources of a module and of those in it; their depth is bounded by the tree's."""
    if not isinstance(module, MapNode):
        return
    yield from _maps(module.get("resources"))
    for child in _maps(module.get("child_modules")):
        yield from _resources(child)


def _unknown_values(root: MapNode) -> Iterator[tuple[str, Node]]:
    for change in _maps(root.get("resource_changes")):
        detail = change.get("change")
        unknown = detail.get("after_unknown") if isinstance(detail, MapNode) else None
        if unknown is not None:
            yield _text(change.get("address")), unknown


def _mark(node: Node | None, unknown: Node | None) -> Node | None:
    """The values with what the plan does not know yet put in, in the shape of `after_unknown`."""
    if isinstance(unknown, Scalar):
        if unknown.kind == "boolean" and unknown.text == "true":
            return Intrinsic(_UNKNOWN, node.position if node else unknown.position)
        return node
    if isinstance(unknown, MapNode) and isinstance(node, MapNode):
        return _mark_map(node, unknown)
    if isinstance(unknown, ListNode) and isinstance(node, ListNode):
        rest = (*unknown.items, *[None] * len(node.items))
        marked = (_mark(item, mark) or item for item, mark in zip(node.items, rest, strict=False))
        return ListNode(tuple(marked), node.position)
    return node


def _mark_map(node: MapNode, unknown: MapNode) -> MapNode:
    marks = {member.key: member.value for member in unknown.members}
    members = [
        m._replace(value=_mark(m.value, marks.pop(m.key, None)) or m.value) for m in node.members
    ]
    for key, mark in marks.items():
        value = _mark(None, mark)
        if value is not None:
            members.append(Member(key, value, node.position))
    return MapNode(tuple(members), node.position)


def _maps(node: Node | None) -> Iterator[MapNode]:
    if isinstance(node, ListNode):
        yield from (item for item in node.items if isinstance(item, MapNode))


def with_references(objects: Sequence[PipelineObject]) -> tuple[PipelineObject, ...]:
    """The objects with references where the text of a reference field names one of them.

    The provider's own examples give parent and schedule as text, and AWS took them so.
    """
    ids = {item.id for item in objects}
    return tuple(
        replace(item, fields=tuple(_referring(field, ids) for field in item.fields))
        for item in objects
    )


def _referring(field: Field, ids: Collection[str]) -> Field:
    value = field.value
    if not isinstance(value, str) or value not in ids or field.key not in reference_fields():
        return field
    return replace(field, value=Ref(value))


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""
