"""Working out the value of a field's text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import product
from math import prod

from taskrunner.errors import ExpressionError, Place
from taskrunner.model.document import Field, PipelineObject
from taskrunner.model.expressions.functions import FUNCTIONS
from taskrunner.model.expressions.lookup import Frame, Lookup, Values
from taskrunner.model.expressions.operators import OPERATORS, negated
from taskrunner.model.expressions.parser import parse
from taskrunner.model.expressions.scope import VERBATIM, Scope
from taskrunner.model.expressions.tokens import wrong
from taskrunner.model.expressions.tree import (
    Attribute,
    Call,
    Chain,
    Literal,
    Name,
    Negate,
    Node,
)
from taskrunner.model.expressions.uses import call_problem
from taskrunner.model.expressions.values import COERCIONS, MAX_TEXT, Scalar, render

#: How many values a list may have, so that lists of lists cannot fill memory.
MAX_VALUES = 10_000
#: Nesting of expressions and of the fields that they refer to, together.
_MAX_DEPTH = 120


def evaluate(text: str, scope: Scope) -> tuple[str, ...]:
    """The value of a field's text, printed; several when it is a list.

    Text without `#{` is returned as it is. Raises ExpressionError, and nothing else, for anything
    that cannot be evaluated; its column counts from 1 at the start of the text.
    """
    if "#{" not in text:
        return (text,)
    return _Evaluator(scope).printed(text)


def evaluate_object(scope: Scope, *, only: Collection[str] | None = None) -> PipelineObject:
    """The scope's own object with every field (or `only` these) evaluated.

    A list becomes a repeated field. References and the fields id, name, type and sphere stay as
    they are. Raises ExpressionError with the object, the field and its place in the file.
    """
    obj = scope.objects[scope.object_id]
    chosen = [_has_expression(f) and (only is None or f.key in only) for f in obj.fields]
    if not any(chosen):
        return obj
    evaluator = _Evaluator(scope)
    fields = [
        new
        for field, is_chosen in zip(obj.fields, chosen, strict=True)
        for new in (_fields(field, obj, evaluator) if is_chosen else (field,))
    ]
    return PipelineObject(id=obj.id, name=obj.name, fields=tuple(fields), position=obj.position)


def _has_expression(field: Field) -> bool:
    return isinstance(field.value, str) and "#{" in field.value and field.key not in VERBATIM


def _fields(field: Field, obj: PipelineObject, evaluator: _Evaluator) -> list[Field]:
    try:
        values = evaluator.printed(str(field.value))
    except ExpressionError as error:
        at = field.position
        place = Place(
            object_id=obj.id,
            field=field.key,
            line=at.line if at else None,
            column=at.column if at else None,
        )
        raise ExpressionError(error.message, column=error.column, place=place) from None
    return [Field(field.key, value, field.position) for value in values]


class _Evaluator:
    """Evaluates texts of one scope; what it finds out about a field it keeps."""

    __slots__ = ("_depth", "_frame", "_lookup")

    def __init__(self, scope: Scope) -> None:
        self._frame = Frame(scope.object_id, scope.node)
        self._lookup = Lookup(scope, self._text)
        self._depth = 0

    def printed(self, text: str) -> tuple[str, ...]:
        """Every value of a text of the scope's own object."""
        try:
            return tuple(map(render, self._text(text, self._frame)))
        except RecursionError:
            raise wrong("the expression nests too deeply", text.find("#{") + 1) from None
        finally:
            self._depth = 0

    def _text(self, text: str, frame: Frame) -> Values:
        template = parse(text)
        if not template.expressions:
            return (text,)
        self._deeper(2, template.expressions[0].column)
        parts = [
            (part,) if isinstance(part, str) else self._node(part.root, frame)
            for part in template.parts
        ]
        self._depth -= 2
        if len(parts) == 1:
            return parts[0]
        # Literal text around a list is written around each of its values.
        return _spread(_joined, parts, template.expressions[0].column)

    def _node(self, node: Node, frame: Frame) -> Values:
        self._deeper(1, node.column)
        values = _EVALUATE[type(node)](self, node, frame)
        self._depth -= 1
        return values

    def _deeper(self, steps: int, column: int) -> None:
        self._depth += steps
        if self._depth > _MAX_DEPTH:
            raise wrong("expressions and the fields they refer to nest too deeply", column)

    def _literal(self, node: Literal, _frame: Frame) -> Values:
        return (node.value,)

    def _name(self, node: Name, frame: Frame) -> Values:
        return self._lookup.name(node.name, frame, node.column)

    def _attribute(self, node: Attribute, frame: Frame) -> Values:
        steps = [node]
        while isinstance(steps[-1].target, Attribute):
            steps.append(steps[-1].target)
        # Each value goes along with the object it was found in, which is what a reference in it
        # comes from.
        found = [(value, frame) for value in self._node(steps[-1].target, frame)]
        for step in reversed(steps):
            found = self._followed(found, step)
        return tuple(value for value, _ in found)

    def _followed(
        self, found: Sequence[tuple[Scalar, Frame]], step: Attribute
    ) -> list[tuple[Scalar, Frame]]:
        reached: list[tuple[Scalar, Frame]] = []
        for target, holder in found:
            values, inner = self._lookup.attribute(target, step.name, holder, step.column)
            reached.extend((value, inner) for value in values)
            if len(reached) > MAX_VALUES:
                raise wrong(f"the result is a list of more than {MAX_VALUES} values", step.column)
        return reached

    def _negate(self, node: Negate, frame: Frame) -> Values:
        return _spread(negated, [self._node(node.operand, frame)], node.column)

    def _chain(self, node: Chain, frame: Frame) -> Values:
        values = self._node(node.first, frame)
        for operator, operand, column in node.rest:
            values = _spread(OPERATORS[operator], [values, self._node(operand, frame)], column)
        return values

    def _call(self, node: Call, frame: Frame) -> Values:
        problem = call_problem(node)
        if problem is not None:
            raise wrong(problem.message, problem.column)
        function = FUNCTIONS[node.function]
        arguments = [
            _coerced(self._node(argument, frame), kind, function.name, argument.column)
            for argument, kind in zip(node.arguments, function.parameters, strict=True)
        ]
        return _spread(function.call, arguments, node.column)


def _coerced(values: Values, kind: str, function: str, column: int) -> Values:
    try:
        return tuple(map(COERCIONS[kind], values))
    except (ValueError, OverflowError) as error:
        raise wrong(f"{function}: {error}", column) from None


def _joined(*parts: Scalar) -> str:
    return "".join(map(render, parts))


def _spread(compute: Callable[..., Scalar], operands: Sequence[Values], column: int) -> Values:
    """Compute for every combination of the operands' values: so a list is mapped and flattened."""
    if prod(map(len, operands)) > MAX_VALUES:
        raise wrong(f"the result is a list of more than {MAX_VALUES} values", column)
    results: list[Scalar] = []
    size = 0
    try:
        for combination in product(*operands):
            value = compute(*combination)
            size += len(value) if isinstance(value, str) else 0
            if size > MAX_TEXT:
                raise wrong(f"the result is longer than {MAX_TEXT} characters", column)
            results.append(value)
    except (ValueError, OverflowError) as error:
        raise wrong(str(error), column) from None
    return tuple(results)


_EVALUATE: dict[type[Node], Callable[..., Values]] = {
    Literal: _Evaluator._literal,
    Name: _Evaluator._name,
    Attribute: _Evaluator._attribute,
    Negate: _Evaluator._negate,
    Chain: _Evaluator._chain,
    Call: _Evaluator._call,
}
