"""A parsed text before it means anything: scalars, lists and maps with their positions.

Maps keep repeated keys, in order. NamedTuples, because a large definition makes many of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from taskrunner.model.document import Position

#: Deeper nesting than this is refused: no form of a definition needs a tenth of it.
MAX_DEPTH = 64

ScalarKind = Literal["string", "number", "boolean", "null"]


class Scalar(NamedTuple):
    """A string, or a number, boolean or null in the text that it was written with."""

    text: str
    kind: ScalarKind
    position: Position | None


class ListNode(NamedTuple):
    """An array."""

    items: tuple[Node, ...]
    position: Position | None


class Member(NamedTuple):
    """One key of a map with its value; the position is the key's."""

    key: str
    value: Node
    position: Position | None


class MapNode(NamedTuple):
    """An object of the text; a key may occur several times."""

    members: tuple[Member, ...]
    position: Position | None

    def get(self, key: str) -> Node | None:
        """The value of the first member with this key."""
        return next((m.value for m in self.members if m.key == key), None)

    def has(self, key: str) -> bool:
        """Whether some member has this key."""
        return any(m.key == key for m in self.members)


class Intrinsic(NamedTuple):
    """A value that a deployment tool works out (`!Ref X`); `text` shows it as `${X}`."""

    text: str
    position: Position | None


Node = Scalar | ListNode | MapNode | Intrinsic

_KIND_NAMES: Mapping[str, str] = {
    "string": "a string",
    "number": "a number",
    "boolean": "a boolean",
    "null": "null",
}


def describe(node: Node | None) -> str:
    """What the node is, in words for a message."""
    if node is None:
        return "nothing"
    if isinstance(node, Scalar):
        return _KIND_NAMES[node.kind]
    if isinstance(node, ListNode):
        return "a list"
    return "an object" if isinstance(node, MapNode) else "an unresolved value"
