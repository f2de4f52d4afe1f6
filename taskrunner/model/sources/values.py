"""Steps that the file forms share: a scalar's text, a field's values, a list's maps."""

from __future__ import annotations

from collections.abc import Iterator

from taskrunner.model.document import Position, Ref, Unresolved, Value
from taskrunner.model.sources.problems import Problems
from taskrunner.model.sources.tree import Intrinsic, ListNode, MapNode, Node, Scalar, describe
from taskrunner.secret import is_secret


def text_of(node: Node | None) -> str | None:
    """A string, number or boolean as text; an unresolved value marked as one; else none."""
    if isinstance(node, Intrinsic):
        return Unresolved(node.text)
    if isinstance(node, Scalar) and node.kind != "null":
        return node.text
    return None


def plain_text(
    node: Node | None, what: str, problems: Problems, position: Position | None
) -> str | None:
    """As `text_of`, noting a problem when there is something else than text."""
    text = text_of(node)
    if text is None and node is not None:
        problems.add("bad-shape", f"{what} is {describe(node)}; wanted a string", position)
    return text


def values_of(
    node: Node, problems: Problems, *, object_id: str, field_name: str, position: Position | None
) -> Iterator[tuple[Value, Position | None]]:
    """Every value of a field in the command line's form: text, `{"ref": id}`, or a list of both."""
    if isinstance(node, ListNode):
        for item in node.items:
            value = _one(item, problems, object_id, field_name)
            if value is not None:
                yield value, item.position
        return
    value = _one(node, problems, object_id, field_name)
    if value is not None:
        yield value, position


def _one(node: Node, problems: Problems, object_id: str, field_name: str) -> Value | None:
    text = text_of(node)
    if text is not None:
        return text
    if isinstance(node, MapNode):
        target = text_of(node.get("ref"))
        if target is not None and len(node.members) == 1:
            return target if isinstance(target, Unresolved) else Ref(target)
    wanted = 'a string, {"ref": "<object id>"} or a list of these'
    problems.add(
        "null-value" if isinstance(node, Scalar) else "bad-value-shape",
        f"found {describe(node) if is_secret(field_name) else _shown(node)}, wanted {wanted}",
        node.position,
        object_id=object_id,
        field_name=field_name,
    )
    return None


def _shown(node: Node) -> str:
    if isinstance(node, MapNode):
        keys = ", ".join(repr(m.key) for m in node.members[:4]) or "no keys"
        return f"an object with {keys}"
    return describe(node)


def maps(node: Node | None, what: str, problems: Problems) -> Iterator[MapNode]:
    """The maps of a list, noting a problem for everything that is not one; none gives nothing."""
    if node is None or (isinstance(node, Scalar) and node.kind == "null"):
        return
    if isinstance(node, MapNode):
        yield node
        return
    if isinstance(node, Intrinsic):
        _note_unresolved(node, what, problems)
        return
    if not isinstance(node, ListNode):
        problems.add(
            "bad-shape", f"{what} is {describe(node)}; wanted a list of objects", node.position
        )
        return
    for item in node.items:
        if isinstance(item, MapNode):
            yield item
        elif isinstance(item, Intrinsic):
            _note_unresolved(item, what, problems)
        elif not (isinstance(item, Scalar) and item.kind == "null"):
            message = f"an item of {what} is {describe(item)}; wanted an object"
            problems.add("bad-shape", message, item.position)


def _note_unresolved(node: Intrinsic, what: str, problems: Problems) -> None:
    message = f"what {what} holds is not known before deployment: {node.text}"
    problems.add("unresolved-value", message, node.position, warning=True)
