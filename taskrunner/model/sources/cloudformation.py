"""CloudFormation templates: their AWS::DataPipeline::Pipeline resources.

What only CloudFormation can work out stays as an unresolved value that shows what stands there.
"""

from __future__ import annotations

from taskrunner.model.sources.tree import Intrinsic, ListNode, MapNode, Member, Node, Scalar

__all__ = ["RESOURCE_TYPE", "find_pipelines", "resolve"]

RESOURCE_TYPE = "AWS::DataPipeline::Pipeline"

_NO_VALUE = "AWS::NoValue"


def find_pipelines(root: MapNode) -> dict[str, MapNode]:
    """The properties of every pipeline of a template, or of its `Resources` alone, by name."""
    resources = root.get("Resources")
    scope = resources if isinstance(resources, MapNode) else root
    found: dict[str, MapNode] = {}
    for member in scope.members:
        if isinstance(member.value, MapNode) and _is_pipeline(member.value):
            found[member.key] = _properties(member.value)
    if not found and _is_pipeline(root):
        found["pipeline"] = _properties(root)
    return found


def _is_pipeline(node: MapNode) -> bool:
    kind = node.get("Type")
    return isinstance(kind, Scalar) and kind.text == RESOURCE_TYPE


def _properties(node: MapNode) -> MapNode:
    properties = node.get("Properties")
    resolved = resolve(properties) if properties is not None else None
    return resolved if isinstance(resolved, MapNode) else MapNode((), node.position)


def resolve(node: Node) -> Node:
    """The node with intrinsic functions made values where their text is known, else marked."""
    return _resolve(node, {})


def _resolve(node: Node, done: dict[int, Node]) -> Node:
    """As `resolve`; a node that YAML aliases share is worked out once."""
    if isinstance(node, Scalar | Intrinsic):
        return node
    if id(node) in done:
        return done[id(node)]
    if isinstance(node, ListNode):
        resolved: Node = ListNode(tuple(_resolve(i, done) for i in node.items), node.position)
    elif (call := _function(node)) is not None:
        resolved = _call(call, done)
    else:
        members = (m._replace(value=_resolve(m.value, done)) for m in node.members)
        resolved = MapNode(tuple(members), node.position)
    done[id(node)] = resolved
    return resolved


def _function(node: MapNode) -> Member | None:
    """The one member of a map that is an intrinsic function."""
    if len(node.members) != 1:
        return None
    member = node.members[0]
    return member if member.key == "Ref" or member.key.startswith("Fn::") else None


def _call(call: Member, done: dict[int, Node]) -> Node:
    argument = _resolve(call.value, done)
    if call.key == "Ref":
        return _ref(argument)
    if call.key == "Fn::Sub":
        return _sub(argument)
    if call.key == "Fn::Join":
        return _join(argument)
    if call.key == "Fn::If":
        return _if(argument)
    if call.key == "Fn::GetAtt":
        return Intrinsic("${" + _text(argument, ".") + "}", argument.position)
    return _unknown(call.key, argument)


def _ref(argument: Node) -> Node:
    name = _text(argument, ".")
    if name == _NO_VALUE:
        return Scalar("null", "null", argument.position)
    return Intrinsic("${" + name + "}", argument.position)


def _sub(argument: Node) -> Node:
    template = argument.items[0] if isinstance(argument, ListNode) and argument.items else argument
    if not isinstance(template, Scalar):
        return _unknown("Fn::Sub", argument)
    if "${" in template.text.replace("${!", ""):
        return Intrinsic(template.text, template.position)
    return template._replace(text=template.text.replace("${!", "${"))


def _join(argument: Node) -> Node:
    pair = argument.items if isinstance(argument, ListNode) else ()
    if len(pair) != 2 or not isinstance(pair[0], Scalar) or not isinstance(pair[1], ListNode):
        return _unknown("Fn::Join", argument)
    text = _text(pair[1], pair[0].text)
    if all(isinstance(item, Scalar) for item in pair[1].items):
        return Scalar(text, "string", argument.position)
    return Intrinsic(text, argument.position)


def _if(argument: Node) -> Node:
    """A choice between structures is taken to be its first one, so that there is one to read."""
    branches = argument.items[1:] if isinstance(argument, ListNode) else ()
    given = [b for b in branches if not (isinstance(b, Scalar) and b.kind == "null")]
    if given and isinstance(given[0], MapNode | ListNode):
        return given[0]
    return _unknown("Fn::If", argument)


def _unknown(name: str, argument: Node) -> Intrinsic:
    return Intrinsic("${" + f"{name}({_text(argument, ', ')})" + "}", argument.position)


def _text(node: Node, separator: str) -> str:
    if isinstance(node, ListNode):
        return separator.join(_text(item, separator) for item in node.items)
    if isinstance(node, MapNode):
        return separator.join(member.key for member in node.members)
    return node.text
