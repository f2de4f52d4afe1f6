"""What a field's text refers to and calls, found without evaluating anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from taskrunner.errors import ExpressionError
from taskrunner.model.expressions.functions import FUNCTIONS, nearest
from taskrunner.model.expressions.parser import parse
from taskrunner.model.expressions.tokens import wrong
from taskrunner.model.expressions.tree import Attribute, Call, Chain, Name, Negate, Node


@dataclass(frozen=True, slots=True)
class Reference:
    """A name and the fields reached from it: `node.output.x` is ("node", "output", "x")."""

    path: tuple[str, ...]
    column: int

    def __str__(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a text: kind is syntax, function or arguments; columns from 1."""

    kind: str
    message: str
    column: int


@dataclass(frozen=True, slots=True)
class Uses:
    """The references and the calls of a text, each in the order in which they stand."""

    references: tuple[Reference, ...]
    calls: tuple[Call, ...]


def uses(text: str) -> Uses:
    """Everything that the expressions of a text name; raises ExpressionError for bad syntax."""
    found = [use for part in parse(text).expressions for use in _walk(part.root)]
    return Uses(
        tuple(use for use in found if isinstance(use, Reference)),
        tuple(use for use in found if isinstance(use, Call)),
    )


def _walk(root: Node) -> Iterator[Reference | Call]:
    """Depth first, left to right, without recursion."""
    todo: list[Node] = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, Call):
            yield node
        elif path := _path(node):
            yield path
            continue
        todo.extend(reversed(_children(node)))


def _children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Call):
        return node.arguments
    if isinstance(node, Chain):
        return (node.first, *(operand for _, operand, _ in node.rest))
    if isinstance(node, Negate):
        return (node.operand,)
    return (node.target,) if isinstance(node, Attribute) else ()


def _path(node: Node) -> Reference | None:
    """The reference that a name with its dots is; none when something else is before the dots."""
    names: list[str] = []
    while isinstance(node, Attribute):
        names.append(node.name)
        node = node.target
    if not isinstance(node, Name):
        return None
    return Reference((node.name, *reversed(names)), node.column)


def call_problem(call: Call) -> Problem | None:
    """What is wrong with a call: the function does not exist, or takes another number of values."""
    function = FUNCTIONS.get(call.function)
    if function is None:
        message = f"no function {call.function!r}{nearest(call.function)}"
        return Problem("function", message, call.column)
    wanted, found = len(function.parameters), len(call.arguments)
    if wanted == found:
        return None
    message = f"{function.signature} takes {wanted} argument{'s' * (wanted > 1)}, found {found}"
    return Problem("arguments", message, call.column)


def problems(text: str) -> tuple[Problem, ...]:
    """All that is wrong with a text whatever it is evaluated in; bad syntax hides the rest."""
    if "#{" not in text:
        return ()
    try:
        found = uses(text)
    except ExpressionError as error:
        return (Problem("syntax", error.message, error.column),)
    return tuple(problem for call in found.calls if (problem := call_problem(call)))


def check(text: str) -> None:
    """Raise ExpressionError for the first thing that is wrong with a text wherever it stands."""
    if "#{" not in text:
        return
    for call in uses(text).calls:
        problem = call_problem(call)
        if problem is not None:
            raise wrong(problem.message, problem.column)
