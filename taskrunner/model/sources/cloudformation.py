"""CloudFormation templates: their AWS::DataPipeline::Pipeline resources.

What only CloudFormation can work out stays as an unresolved value that shows what stands there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from taskrunner.model.document import Position
from taskrunner.model.sources.problems import Problems
from taskrunner.model.sources.tree import Intrinsic, ListNode, MapNode, Member, Node, Scalar

RESOURCE_TYPE = "AWS::DataPipeline::Pipeline"

_NO_VALUE = "AWS::NoValue"


def find_pipelines(root: MapNode) -> dict[str, MapNode]:
    """Every pipeline of a template, or of its `Resources` alone, by name."""
    resources = root.get("Resources")
    scope = resources if isinstance(resources, MapNode) else root
    found: dict[str, MapNode] = {}
    for member in scope.members:
        if isinstance(member.value, MapNode) and _is_pipeline(member.value):
            found[member.key] = member.value
    if not found and _is_pipeline(root):
        found["pipeline"] = root
    return found


def _is_pipeline(node: MapNode) -> bool:
    kind = node.get("Type")
    return isinstance(kind, Scalar) and kind.text == RESOURCE_TYPE


def properties(pipeline: MapNode, problems: Problems) -> MapNode:
    """The properties of a pipeline, with intrinsic functions worked out as far as they can be.

    Where a function chooses between structures the first is read, and noted; a value that is not
    known is marked.
    """
    resolver = _Resolver(problems)
    found = resolver.resolve(pipeline.get("Properties") or MapNode((), pipeline.position))
    if isinstance(found, MapNode):
        return found
    resolver.note("the properties", found.position)
    return MapNode((), pipeline.position)


class _Resolver:
    """Works out intrinsic functions; a node that YAML aliases share is worked out once."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.done: dict[int, Node] = {}

    def note(self, what: str, position: Position | None) -> None:
        """Note a structure that is known only after deployment."""
        message = f"{what}: known only after deployment"
        self.problems.add("unresolved-value", message, position, warning=True)

    def resolve(self, node: Node) -> Node:
        """The node with each function's value, or what it is called, in its place."""
        if isinstance(node, Scalar | Intrinsic):
            return node
        if id(node) not in self.done:
            self.done[id(node)] = self.worked_out(node)
        return self.done[id(node)]

    def worked_out(self, node: ListNode | MapNode) -> Node:
        """A list or map with its parts resolved."""
        if isinstance(node, ListNode):
            return ListNode(tuple(self.resolve(item) for item in node.items), node.position)
        call = _function(node)
        if call is None:
            members = (m._replace(value=self.resolve(m.value)) for m in node.members)
            return MapNode(tuple(members), node.position)
        argument = self.resolve(call.value)
        if call.key == "Fn::If":
            return self.choice(argument)
        function = _FUNCTIONS.get(call.key)
        return function(argument) if function else _unknown(call.key, argument)

    def choice(self, argument: Node) -> Node:
        """The first of the structures to choose from, so that there is one to read."""
        branches = argument.items[1:] if isinstance(argument, ListNode) else ()
        given = [b for b in branches if not (isinstance(b, Scalar) and b.kind == "null")]
        if given and isinstance(given[0], MapNode | ListNode):
            self.note("which branch of Fn::If is taken (the first one is read)", argument.position)
            return given[0]
        return _unknown("Fn::If", argument)


def _function(node: MapNode) -> Member | None:
    """The one member of a map that is an intrinsic function."""
    if len(node.members) != 1:
        return None
    member = node.members[0]
    return member if member.key == "Ref" or member.key.startswith("Fn::") else None


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


def _get_att(argument: Node) -> Node:
    return Intrinsic("${" + _text(argument, ".") + "}", argument.position)


def _unknown(name: str, argument: Node) -> Intrinsic:
    return Intrinsic("${" + f"{name}({_text(argument, ', ')})" + "}", argument.position)


def _text(node: Node, separator: str) -> str:
    if isinstance(node, ListNode):
        return separator.join(_text(item, separator) for item in node.items)
    if isinstance(node, MapNode):
        return separator.join(member.key for member in node.members)
    return node.text


_FUNCTIONS: Mapping[str, Callable[[Node], Node]] = {
    "Ref": _ref,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::GetAtt": _get_att,
}
