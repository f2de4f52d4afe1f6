"""A YAML text as a tree with positions; short CloudFormation tags (`!Ref`) become their long form.

The library is imported when a YAML text is read. Only its events are used: no tag is ever
constructed, and the tree is bounded in depth and, aliases expanded, in size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from taskrunner.errors import Place
from taskrunner.model.document import Position
from taskrunner.model.sources.problems import Unreadable
from taskrunner.model.sources.tree import MAX_DEPTH, ListNode, MapNode, Member, Node, Scalar

#: A text whose aliases expand to more nodes than this is refused.
MAX_NODES = 2_000_000

# Events and marks of either of the library's two parsers, which have no common type.
Event = Any
Mark = Any

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_PLAIN_TAGS = frozenset({"Ref", "Condition"})
#: CloudFormation's functions that have a short tag.
_FUNCTION_TAGS = frozenset(
    [
        "And",
        "Base64",
        "Cidr",
        "Equals",
        "FindInMap",
        "GetAZs",
        "GetAtt",
        "If",
        "ImportValue",
        "Join",
        "Length",
        "Not",
        "Or",
        "Select",
        "Split",
        "Sub",
        "ToJsonString",
        "Transform",
    ]
)
#: YAML's own tags of what is its text anyway.
_CORE = "tag:yaml.org,2002:"
_CORE_TAGS = frozenset(
    _CORE + name for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq")
)


class _Built(NamedTuple):
    """A node with what it costs: levels below it and nodes in all."""

    node: Node
    height: int
    size: int


def parse_yaml(text: str, source: str | None = None) -> Node:
    """The tree of a YAML text of one document; raises DefinitionError with line and column."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(iter(yaml.parse(text, Loader=loader)), source).document()
    except yaml.MarkedYAMLError as error:
        problem = error.problem or error.context or "it cannot be parsed"
        raise _error(problem, error.problem_mark or error.context_mark, source) from None
    except (yaml.YAMLError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it cannot be parsed"
        raise _error(reason, _mark_of(error, text), source) from None


def _error(reason: str, mark: Mark | None, source: str | None) -> Unreadable:
    place = Place(
        source=source,
        line=mark.line + 1 if mark else None,
        column=mark.column + 1 if mark else None,
    )
    return Unreadable(f"not YAML: {reason}", place, code="not-yaml")


def _mark_of(error: Exception, text: str) -> Mark | None:
    """Where a character stands that YAML does not allow."""
    from yaml.error import Mark as TextMark
    from yaml.reader import ReaderError

    if not isinstance(error, ReaderError):
        return None
    before = text[: error.position]
    column = len(before) - (before.rfind("\n") + 1)
    return TextMark("", error.position, before.count("\n"), column, None, 0)


def _position(event: Event) -> Position:
    mark: Mark = event.start_mark
    return Position(line=mark.line + 1, column=mark.column + 1)


class _Builder:
    """Builds the tree of a stream of events."""

    def __init__(self, events: Iterator[Event], source: str | None) -> None:
        from yaml import events as kinds

        self.kinds = kinds
        self.events = events
        self.source = source
        self.anchors: dict[str, _Built] = {}
        self.size = 0

    def document(self) -> Node:
        """The stream's only document."""
        kinds = self.kinds
        starts = (kinds.StreamStartEvent, kinds.DocumentStartEvent)
        event = next(self.events)
        while isinstance(event, starts):
            event = next(self.events)
        if isinstance(event, kinds.StreamEndEvent):
            raise _error("the text is empty", event.start_mark, self.source)
        built = self.node(event, 0)
        next(self.events)
        after = next(self.events)
        if isinstance(after, kinds.DocumentStartEvent):
            raise _error("found a second document, wanted one", after.start_mark, self.source)
        return built.node

    def node(self, event: Event, depth: int) -> _Built:
        """The node that begins with this event."""
        if isinstance(event, self.kinds.AliasEvent):
            built = self.alias(event)
        elif isinstance(event, self.kinds.ScalarEvent):
            built = _Built(self.scalar(event), 0, 1)
        else:
            built = self.collection(event, depth)
        if depth + built.height > MAX_DEPTH:
            reason = f"nested more than {MAX_DEPTH} levels deep"
            raise _error(reason, event.start_mark, self.source)
        return built

    def collection(self, event: Event, depth: int) -> _Built:
        """A sequence or mapping, with its tag and anchor."""
        if depth >= MAX_DEPTH:
            reason = f"nested more than {MAX_DEPTH} levels deep"
            raise _error(reason, event.start_mark, self.source)
        is_list = isinstance(event, self.kinds.SequenceStartEvent)
        built = self.sequence(event, depth) if is_list else self.mapping(event, depth)
        built = built._replace(node=self.tagged(built.node, event))
        if event.anchor:
            self.anchors[event.anchor] = built
        return built

    def alias(self, event: Event) -> _Built:
        """A copy of an anchored node, counted as if it were written out."""
        built = self.anchors.get(event.anchor)
        if built is None:
            reason = "an alias (*...) names no complete anchor before it"
            raise _error(reason, event.start_mark, self.source)
        self.size += built.size
        if self.size > MAX_NODES:
            reason = f"aliases expand to more than {MAX_NODES} nodes"
            raise _error(reason, event.start_mark, self.source)
        return built

    def scalar(self, event: Event) -> Node:
        """A scalar as text, whatever YAML would make of it: definitions hold strings."""
        self.size += 1
        null = event.implicit[0] and event.value in _NULLS
        position = _position(event)
        node = self.tagged(Scalar(event.value, "null" if null else "string", position), event)
        if event.anchor:
            self.anchors[event.anchor] = _Built(node, 0, 1)
        return node

    def sequence(self, event: Event, depth: int) -> _Built:
        """The items up to the sequence's end."""
        built: list[_Built] = []
        item = next(self.events)
        while not isinstance(item, self.kinds.SequenceEndEvent):
            built.append(self.node(item, depth + 1))
            item = next(self.events)
        node = ListNode(tuple(b.node for b in built), _position(event))
        return _measured(node, built)

    def mapping(self, event: Event, depth: int) -> _Built:
        """The members up to the mapping's end."""
        members: list[Member] = []
        built: list[_Built] = []
        key = next(self.events)
        while not isinstance(key, self.kinds.MappingEndEvent):
            name = self.node(key, depth + 1).node
            if not isinstance(name, Scalar):
                raise _error("found a key that is no text", key.start_mark, self.source)
            built.append(self.node(next(self.events), depth + 1))
            members.append(Member(name.text, built[-1].node, name.position))
            key = next(self.events)
        return _measured(MapNode(tuple(members), _position(event)), built)

    def tagged(self, node: Node, event: Event) -> Node:
        """The node, or what its short tag stands for: `!Sub x` is `{"Fn::Sub": x}`."""
        tag: str | None = event.tag
        if not tag or tag == "!" or tag in _CORE_TAGS:
            return node
        short = tag.removeprefix("!")
        if short == tag or short not in _PLAIN_TAGS | _FUNCTION_TAGS:
            shown = tag.replace(_CORE, "!!") if tag.startswith(("!", _CORE)) else f"!<{tag}>"
            reason = (
                f"nothing reads the tag {shown}; wanted plain text, or a function of "
                "CloudFormation's such as !Ref and !Sub"
            )
            raise _error(reason, event.start_mark, self.source)
        name = short if short in _PLAIN_TAGS else f"Fn::{short}"
        return MapNode((Member(name, node, node.position),), node.position)


def _measured(node: Node, parts: list[_Built]) -> _Built:
    height = max((part.height for part in parts), default=0) + 1
    return _Built(node, height, sum(part.size for part in parts) + 1)
