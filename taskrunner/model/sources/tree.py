"""A parsed text before it means anything: scalars, lists and maps with their positions.

Maps keep repeated keys, in order. NamedTuples, because a large definition makes many of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from taskrunner.errors import DefinitionError, Place
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


def from_python(value: object, depth: int = 0) -> Node:
    """The tree of decoded JSON, without positions; raises DefinitionError for anything else."""
    if depth > MAX_DEPTH:
        raise DefinitionError(f"nested more than {MAX_DEPTH} levels deep", Place())
    if isinstance(value, str):
        return Scalar(value, "string", None)
    if isinstance(value, Mapping):
        members = (Member(str(k), from_python(v, depth + 1), None) for k, v in value.items())
        return MapNode(tuple(members), None)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return ListNode(tuple(from_python(item, depth + 1) for item in value), None)
    return _plain(value)


def _plain(value: object) -> Scalar:
    if value is None:
        return Scalar("null", "null", None)
    if isinstance(value, bool):
        return Scalar("true" if value else "false", "boolean", None)
    if isinstance(value, int | float):
        return Scalar(str(value), "number", None)
    raise DefinitionError(f"found a {type(value).__name__}, which JSON does not have", Place())
