"""Terraform's JSON (`terraform show -json`): the pipeline definitions of a plan or state."""

from __future__ import annotations

from collections.abc import Iterator

from taskrunner.model.sources.tree import Intrinsic, ListNode, MapNode, Member, Node, Scalar

__all__ = ["RESOURCE_TYPE", "find_pipelines", "is_terraform"]

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


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""
