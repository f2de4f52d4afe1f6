"""Finding what a name stands for: field, runtime field, parameter, object."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from taskrunner.errors import ExpressionError
from taskrunner.model.document import Ref
from taskrunner.model.expressions.scope import VERBATIM, Scope
from taskrunner.model.expressions.tokens import wrong
from taskrunner.model.expressions.values import (
    Component,
    Scalar,
    Values,
    as_number,
    render,
    secret_of,
)
from taskrunner.secret import HIDDEN, is_secret

_NUMBER_TYPES = frozenset({"Integer", "Double"})


@dataclass(frozen=True, slots=True)
class Frame:
    """Whose field is being evaluated, and which object refers to that one."""

    object_id: str
    node: str | None


#: What is said of a secret text with an expression in it that is wrong.
UNREADABLE = f"the expression in {HIDDEN} cannot be evaluated"


class NestedError(ExpressionError):
    """Something is wrong in a field that the expression refers to."""


class Lookup:
    """The names of one scope. Every field is evaluated once; `text` evaluates one in a frame."""

    __slots__ = ("_active", "_known", "_scope", "_text")

    def __init__(self, scope: Scope, text: Callable[[str, Frame], Values]) -> None:
        self._scope = scope
        self._text = text
        self._known: dict[tuple[Frame | None, str], Values] = {}
        self._active: dict[tuple[Frame | None, str], None] = {}

    def name(self, name: str, frame: Frame, column: int) -> Values:
        """The value of a bare name in a frame; raises ExpressionError for an unknown name."""
        if name == "node" and frame.node is not None:
            return Values((Ref(frame.node),))
        if name == "parent":
            return Values((Component(frame.object_id),))
        # A field that takes its value from the parameter of the same name is no cycle.
        itself = (frame, name) in self._active and name in self._scope.parameters
        values = None if itself else self._field(name, frame, column)
        if values is None:
            values = self._parameter(name, frame, column)
        if values is None and name in self._scope.objects:
            values = Values((Ref(name),))
        if values is None:
            raise wrong(self._unknown(name, frame), column)
        return values

    def attribute(
        self, target: Scalar, name: str, holder: Frame, column: int
    ) -> tuple[Values, Frame]:
        """A field of the object that `target`, found in `holder`, refers to; and that object.

        Raises ExpressionError when there is no such object or field.
        """
        if not isinstance(target, Ref):
            message = f"found {render(target)!r} before .{name}, wanted a reference to an object"
            raise wrong(message, column)
        if isinstance(target, Component):
            if name in {"id", "@id"}:
                return Values((target.id,)), holder
            inner = holder
        else:
            inner = Frame(target.id, None if target.id == holder.node else holder.object_id)
        values = self._field(name, inner, column)
        if values is None:
            raise wrong(self._no_field(target.id, name), column)
        return values, inner

    def _field(self, key: str, frame: Frame, column: int) -> Values | None:
        """The values of a field, evaluated; none when the object has no such field."""
        given = self._scope.runtime_of(frame.object_id, key)
        if given is not None:
            return Values(given)
        obj = self._scope.objects.get(frame.object_id)
        if key in {"id", "@id"}:
            return Values((frame.object_id,))
        if obj is None:
            return None
        if key == "name":
            return Values((obj.name,))
        raw = obj.values(key)
        if raw:
            verbatim = key in VERBATIM or key.startswith("@")
            return Values(raw) if verbatim else self._evaluated(key, raw, frame, column)
        lent = None if key.startswith(("@", "*")) else self._scope.runtime_of(obj.id, "@" + key)
        return None if lent is None else Values(lent)

    def _parameter(self, name: str, frame: Frame, column: int) -> Values | None:
        raw = self._scope.parameters.get(name)
        if raw is None:
            return None
        values = self._evaluated(f"{name} (parameter)", tuple(raw), frame, column)
        if self._scope.parameter_types.get(name) not in _NUMBER_TYPES:
            return values
        numbers = ((as_number(value), value) for value in values.items)
        items = tuple(value if number is None else number for number, value in numbers)
        return Values(items, values.secret)

    def _evaluated(self, key: str, raw: tuple[str | Ref, ...], frame: Frame, column: int) -> Values:
        hide = is_secret(key)
        if not any(isinstance(value, str) and "#{" in value for value in raw):
            return Values.hidden(raw) if hide else Values(raw)
        place = (frame, key)
        if place in self._known:
            return self._known[place]
        if place in self._active:
            circle = " -> ".join([*(k for _, k in self._active), key])
            raise wrong(f"{key} of {frame.object_id!r} refers to itself: {circle}", column)
        self._active[place] = None
        try:
            found = [self._text(v, frame) if isinstance(v, str) else Values((v,)) for v in raw]
        except ExpressionError as error:
            message = f"in {key} of {frame.object_id!r}: {error.message}"
            if hide:
                # What it is about may be a piece of the secret: the text itself is one.
                message = f"in {key} of {frame.object_id!r}: {UNREADABLE}"
            elif isinstance(error, NestedError):
                message = error.message
            raise NestedError(message, column=column) from None
        finally:
            del self._active[place]
        items, secret = tuple(v for values in found for v in values.items), secret_of(found)
        values = Values.hidden(items, secret or ()) if hide else Values(items, secret)
        self._known[place] = values
        return values

    def _unknown(self, name: str, frame: Frame) -> str:
        if name == "node":
            return "node stands for the object that refers to this one, and there is none here"
        if name.startswith("@"):
            return f"the runtime field {name} of {frame.object_id!r} is not known here"
        obj = self._scope.objects.get(frame.object_id)
        known = [*(obj.keys() if obj else ()), *self._scope.parameters]
        return (
            f"{frame.object_id!r} has no field {name!r}, nor is it a parameter{_hint(name, known)}"
        )

    def _no_field(self, object_id: str, name: str) -> str:
        obj = self._scope.objects.get(object_id)
        if obj is None and object_id not in self._scope.runtime:
            return f"there is no object {object_id!r} to take {name!r} from"
        if name.startswith("@"):
            return f"the runtime field {name} of {object_id!r} is not known here"
        return f"{object_id!r} has no field {name!r}{_hint(name, obj.keys() if obj else ())}"


def _hint(name: str, known: tuple[str, ...] | list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
