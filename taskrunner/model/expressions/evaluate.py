"""Working out the value of a field's text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import product
from math import prod

from taskrunner.errors import ExpressionError, Place
from taskrunner.model.document import Field, PipelineObject
from taskrunner.model.expressions.functions import FUNCTIONS
from taskrunner.model.expressions.lookup import UNREADABLE, Frame, Lookup
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
from taskrunner.model.expressions.values import (
    COERCIONS,
    MAX_TEXT,
    WANTED,
    Scalar,
    Values,
    render,
    secret_of,
)
from taskrunner.secret import HIDDEN, Secret, is_secret

#: How many values a list may have, so that lists of lists cannot fill memory.
MAX_VALUES = 10_000
#: Nesting of expressions and of the fields that they refer to, together.
_MAX_DEPTH = 120


def evaluate(text: str, scope: Scope, *, secret: bool = False) -> tuple[str, ...]:
    """The value of a field's text, printed; several when it is a list.

    Text without `#{` is returned as it is. Raises ExpressionError, and nothing else, for anything
    that cannot be evaluated; its column counts from 1 at the start of the text. What comes of a
    secret is a `Secret`, and not in the error; `secret` says that the text itself is one.
    """
    if "#{" not in text:
        return (Secret(text) if secret else text,)
    return _Evaluator(scope).printed(text, secret=secret)


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
        values = evaluator.printed(str(field.value), secret=is_secret(field.key))
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

    def printed(self, text: str, *, secret: bool = False) -> tuple[str, ...]:
        """Every value of a text of the scope's own object; `secret` where the text is a secret."""
        try:
            values = self._text(text, self._frame)
        except RecursionError:
            raise wrong("the expression nests too deeply", text.find("#{") + 1) from None
        except ExpressionError:
            if secret:
                raise wrong(UNREADABLE, 1) from None
            raise
        finally:
            self._depth = 0
        if secret:
            values = Values.hidden(values.items, values.secret or ())
        return tuple(_printed(item, values.secret) for item in values.items)

    def _text(self, text: str, frame: Frame) -> Values:
        template = parse(text)
        if not template.expressions:
            return Values((text,))
        self._deeper(2, template.expressions[0].column)
        parts = [
            Values((part,)) if isinstance(part, str) else self._node(part.root, frame)
            for part in template.parts
        ]
        self._depth -= 2
        if len(parts) == 1:
            return parts[0]
        # Literal text around a list is written around each of its values.
        return _spread("the text", _joined, parts, template.expressions[0].column)

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
        return Values((node.value,))

    def _name(self, node: Name, frame: Frame) -> Values:
        return self._lookup.name(node.name, frame, node.column)

    def _attribute(self, node: Attribute, frame: Frame) -> Values:
        steps = [node]
        while isinstance(steps[-1].target, Attribute):
            steps.append(steps[-1].target)
        # Each value goes along with the object it was found in, which is what a reference in it
        # comes from.
        start = self._node(steps[-1].target, frame)
        found, secret = [(value, frame) for value in start.items], start.secret
        for step in reversed(steps):
            found, secret = self._followed(found, step, secret)
        return Values(tuple(value for value, _ in found), secret)

    def _followed(
        self, found: Sequence[tuple[Scalar, Frame]], step: Attribute, secret: frozenset[str] | None
    ) -> tuple[list[tuple[Scalar, Frame]], frozenset[str] | None]:
        """The field of each of some objects; `secret` is what the way to them has come by."""
        reached: list[tuple[Scalar, Frame]] = []
        for target, holder in found:
            try:
                values, inner = self._lookup.attribute(target, step.name, holder, step.column)
            except ExpressionError:
                if secret is None:
                    raise
                message = f".{step.name} cannot be taken from {HIDDEN}; wanted a reference"
                raise wrong(message, step.column) from None
            secret = secret_of((values, Values((), secret)))
            reached.extend((value, inner) for value in values.items)
            if len(reached) > MAX_VALUES:
                raise wrong(f"the result is a list of more than {MAX_VALUES} values", step.column)
        return reached, secret

    def _negate(self, node: Negate, frame: Frame) -> Values:
        return _spread("-", negated, [self._node(node.operand, frame)], node.column)

    def _chain(self, node: Chain, frame: Frame) -> Values:
        values = self._node(node.first, frame)
        for operator, operand, column in node.rest:
            operands = [values, self._node(operand, frame)]
            values = _spread(operator, OPERATORS[operator], operands, column)
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
        return _spread(function.name, function.call, arguments, node.column)


def _coerced(values: Values, kind: str, function: str, column: int) -> Values:
    try:
        return Values(tuple(map(COERCIONS[kind], values.items)), values.secret)
    except (ValueError, OverflowError) as error:
        reason = str(error) if values.secret is None else f"found {HIDDEN}, wanted {WANTED[kind]}"
        raise wrong(f"{function}: {reason}", column) from None


def _printed(item: Scalar, secret: frozenset[str] | None) -> str:
    text = render(item)
    return text if secret is None else Secret(text, secret)


def _joined(*parts: Scalar) -> str:
    return "".join(map(render, parts))


def _spread(
    name: str, compute: Callable[..., Scalar], operands: Sequence[Values], column: int
) -> Values:
    """Compute for every combination of the operands' values: so a list is mapped and flattened."""
    items = [values.items for values in operands]
    if prod(map(len, items)) > MAX_VALUES:
        raise wrong(f"the result is a list of more than {MAX_VALUES} values", column)
    secret = secret_of(operands)
    results: list[Scalar] = []
    size = 0
    try:
        for combination in product(*items):
            value = compute(*combination)
            size += len(value) if isinstance(value, str) else 0
            if size > MAX_TEXT:
                raise wrong(f"the result is longer than {MAX_TEXT} characters", column)
            results.append(value)
    except (ValueError, OverflowError) as error:
        reason = str(error) if secret is None else f"{name} cannot be worked out for {HIDDEN}"
        raise wrong(reason, column) from None
    return Values(
        tuple(results), None if secret is None else secret | _new_secrets(results, secret)
    )


def _new_secrets(results: Sequence[Scalar], secret: frozenset[str]) -> set[str]:
    """Those results in which no secret stands that is known already, such as a date's year."""
    texts = set(map(render, results))
    if len(texts) * len(secret) > MAX_VALUES:
        return texts
    return {text for text in texts if text and not any(part in text for part in secret)}


_EVALUATE: dict[type[Node], Callable[..., Values]] = {
    Literal: _Evaluator._literal,
    Name: _Evaluator._name,
    Attribute: _Evaluator._attribute,
    Negate: _Evaluator._negate,
    Chain: _Evaluator._chain,
    Call: _Evaluator._call,
}
