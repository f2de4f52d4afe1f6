"""Checks of expressions: their syntax, the functions that they call, the names that they use."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import islice

from taskrunner.model import expressions
from taskrunner.model.catalog import CATALOG
from taskrunner.model.document import Field, Position, Ref, Unresolved, Value
from taskrunner.model.validate.context import Context, Item
from taskrunner.model.validate.fields import is_user_defined

_CODES = {
    "syntax": "expression-syntax",
    "function": "unknown-function",
    "arguments": "argument-count",
}

#: Runtime fields that no table lists, from the API's documentation and from what it returns.
_MORE_RUNTIME = frozenset(
    {
        "@attemptCount",
        "@componentParent",
        "@creationTime",
        "@headAttempt",
        "@id",
        "@instanceParent",
        "@pipelineState",
        "@resource",
        "@resourceId",
        "@resourceRegion",
        "@resourceStatus",
        "@triesLeft",
        "@userId",
        "@accountId",
    }
)
#: How far `a.b.c` is followed, and through how many objects at once.
_MAX_STEPS = 8
_MAX_TARGETS = 100
_USES_NODE = frozenset({"action", "precondition"})


@cache
def _runtime_names() -> frozenset[str]:
    listed = {key for t in CATALOG.values() for key, spec in t.fields.items() if spec.runtime}
    return frozenset(listed | _MORE_RUNTIME)


def check_expressions(context: Context) -> None:
    """Every expression of the definition, and of its parameters' values."""
    for item in context.items:
        for field in item.own.fields:
            text = field.value
            if isinstance(text, Ref | Unresolved) or "#{" not in text:
                continue
            if field.key not in expressions.VERBATIM:
                _check(context, item, field, text)
    _check_parameters(context)


def _check(context: Context, item: Item, field: Field, text: str) -> None:
    found = expressions.problems(text)
    for problem in found:
        context.note_value(_CODES[problem.kind], _told(problem), item, field)
    if any(problem.kind == "syntax" for problem in found):
        return
    for reference in expressions.uses(text).references:
        wrong = _wrong_path(context, item, reference.path)
        if wrong is not None:
            code, message = wrong
            context.note_value(code, f"{message}{_at(reference.column)}", item, field)


def _at(column: int) -> str:
    return f" (at column {column})"


def _told(problem: expressions.Problem) -> str:
    """The problem with its column in the field's text, which some messages have already."""
    where = _at(problem.column)
    return problem.message if problem.message.endswith(where) else problem.message + where


def _wrong_path(context: Context, item: Item, path: tuple[str, ...]) -> tuple[str, str] | None:
    """What is wrong with `name.field.field`; the first step is another matter than the rest."""
    name, *rest = path
    if name.startswith("@"):
        return _wrong_runtime(context, name)
    if name == "node":
        return _wrong_node(item)
    if name == "parent" or name in context.parameters or name in context.declared:
        return None
    values = item.values(name) or ((Ref(name),) if name in context.by_id else ())
    return _wrong_rest(context, values, rest) if values else _unknown(context, item, name)


def _wrong_runtime(context: Context, name: str) -> tuple[str, str] | None:
    known = _runtime_names()
    if name in known:
        return None
    near = context.names.near(name, known)
    return ("unknown-runtime-field", f"there is no runtime field {name}{near}")


def _wrong_node(item: Item) -> tuple[str, str] | None:
    if item.type is None or item.type.category in _USES_NODE or item.has("node"):
        return None
    message = (
        f"node stands for the object that an action or precondition is of, not {item.type.name}"
    )
    return ("misplaced-node", message)


def _unknown(context: Context, item: Item, name: str) -> tuple[str, str] | None:
    if is_user_defined(name):
        given = {*context.declared, *context.parameters, *filter(is_user_defined, item.keys)}
        near = context.names.near(name, given)
        message = f"the parameter {name!r} is not declared, and has no value{near}"
        return ("unknown-parameter", message)
    if _is_possible(item, name):
        return None
    near = context.names.near(name, item.keys)
    message = f"{name!r} is neither a field of {item.id!r}, nor a parameter, nor an object{near}"
    return ("unknown-name", message)


def _is_possible(item: Item, name: str) -> bool:
    """Whether a name may have a value at run time though nothing in the definition gives it one."""
    if name in {"id", "name", "type"} or not _runtime_names().isdisjoint({name, "@" + name}):
        return True
    # What an abstract object's texts name may be a field of its heirs.
    return item.type is None


def _wrong_rest(
    context: Context, values: Iterable[Value], rest: list[str]
) -> tuple[str, str] | None:
    """The fields named after the dots; followed as far as the definition alone can tell."""
    targets = _targets(context, values)
    for name in rest[:_MAX_STEPS]:
        if name.startswith("@"):
            return _wrong_runtime(context, name)
        if targets is None:
            return None
        for target in targets:
            if not target.has(name) and not _is_possible(target, name):
                near = context.names.near(name, target.keys)
                return ("unknown-name", f"{target.id!r} has no field {name!r}{near}")
        targets = _targets(context, (v for target in targets for v in target.values(name)))
    return None


def _targets(context: Context, values: Iterable[Value]) -> list[Item] | None:
    """The objects that values refer to, each once; none where that cannot be told, or is much."""
    ids = dict.fromkeys(v.id if isinstance(v, Ref) else None for v in islice(values, _MAX_TARGETS))
    found = [context.by_id.get(name) if name is not None else None for name in ids]
    known = [target for target in found if target is not None]
    return known if len(known) == len(found) else None


def _check_parameters(context: Context) -> None:
    for parameter in context.definition.parameters:
        for text in parameter.attribute_values("default"):
            _check_value(context, parameter.id, text, "default", parameter.position)
    for value in context.definition.values:
        _check_value(context, value.id, value.value, None, value.position)


def _check_value(
    context: Context, parameter_id: str, text: str, key: str | None, position: Position | None
) -> None:
    if isinstance(text, Unresolved):
        return
    for problem in expressions.problems(text):
        context.add(
            _CODES[problem.kind], _told(problem), object_id=parameter_id, key=key, position=position
        )
