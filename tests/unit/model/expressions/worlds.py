"""Small worlds for expressions to look at."""

from __future__ import annotations

from datetime import UTC, datetime

from taskrunner.model.document import Field, PipelineObject, Value
from taskrunner.model.expressions import Scope, evaluate

#: The date that the guide's examples use.
GUIDE_DATE = datetime(2011, 5, 24, 17, 10, tzinfo=UTC)


def obj(object_id: str, *fields: tuple[str, Value], name: str | None = None) -> PipelineObject:
    """An object with these fields; a repeated key is a field with several values."""
    given = tuple(Field(key, value) for key, value in fields)
    return PipelineObject(id=object_id, name=name or object_id, fields=given)


def scope(*objects: PipelineObject, **more: object) -> Scope:
    """A scope in which the first object is evaluated."""
    known = {o.id: o for o in objects}
    return Scope(objects=known, object_id=objects[0].id, **more)  # type: ignore[arg-type]


def value(text: str, within: Scope | None = None) -> str:
    """The one value of a text; in an object with the guide's `myDateTime` unless told otherwise."""
    default = scope(obj("A", ("myDateTime", "2011-05-24T17:10:00")))
    (found,) = evaluate(text, within or default)
    return found
