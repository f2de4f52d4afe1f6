"""One order for what GetPipelineDefinition gives in any: files that only differ where they do."""

from __future__ import annotations

from dataclasses import replace

from taskrunner.model.document import Definition, Field, ParameterObject, PipelineObject
from taskrunner.model.inheritance import DEFAULT_ID


def ordered(definition: Definition) -> Definition:
    """The same definition: Default first, then by ids; `type` first, then by names of fields.

    Values of one field, attribute or parameter keep their order: it has a meaning.
    """
    return replace(
        definition,
        objects=tuple(
            sorted(map(_object, definition.objects), key=lambda o: (o.id != DEFAULT_ID, o.id))
        ),
        parameters=tuple(sorted(map(_parameter, definition.parameters), key=lambda p: p.id)),
        values=tuple(sorted(definition.values, key=lambda value: value.id)),
    )


def _object(item: PipelineObject) -> PipelineObject:
    return replace(item, fields=tuple(sorted(item.fields, key=_of_field)))


def _of_field(field: Field) -> tuple[bool, str]:
    return _first(field.key)


def _parameter(item: ParameterObject) -> ParameterObject:
    attributes = sorted(item.attributes, key=lambda pair: _first(pair[0]))
    return replace(item, attributes=tuple(attributes))


def _first(key: str) -> tuple[bool, str]:
    return (key != "type", key)
