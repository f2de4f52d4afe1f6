"""The AWS CLI's form: `objects`, `parameters`, `values`."""

from __future__ import annotations

from collections.abc import Iterator

from taskrunner.model.document import Field, ParameterObject, ParameterValue, PipelineObject
from taskrunner.model.inheritance import DEFAULT_ID
from taskrunner.model.sources import api_form
from taskrunner.model.sources.problems import Problems
from taskrunner.model.sources.tree import ListNode, MapNode, Node, Scalar, describe
from taskrunner.model.sources.values import maps, plain_text, text_of, values_of


def read_objects(node: Node | None, problems: Problems) -> tuple[PipelineObject, ...]:
    """The objects of a list; one without an id is noted and left out."""
    read = (read_object(item, problems) for item in maps(node, "'objects'", problems))
    return tuple(item for item in read if item is not None)


def read_object(node: MapNode, problems: Problems) -> PipelineObject | None:
    """One object; without a name it is named by its id."""
    name = plain_text(node.get("name"), "an object's name", problems, node.position)
    given = plain_text(node.get("id"), "an object's id", problems, node.position)
    # Some published definitions give Default only a name.
    object_id = name if given is None and name == DEFAULT_ID else given
    if object_id is None:
        kind = text_of(node.get("type"))
        which = f"an object of type {kind!r}" if kind else "an object"
        problems.add("missing-id", f"{which} has no id", node.position)
        return None
    _note_repeated(node, object_id, problems)
    return PipelineObject(
        id=object_id,
        name=object_id if name is None else name,
        fields=tuple(_fields(node, object_id, problems)),
        position=node.position,
    )


def _note_repeated(node: MapNode, object_id: str, problems: Problems) -> None:
    for key in ("id", "name"):
        given = [m for m in node.members if m.key == key]
        if len(given) > 1:
            problems.add(
                "repeated-key",
                f"the {key} is given {len(given)} times; wanted one",
                given[1].position,
                object_id=object_id,
                field_name=key,
            )


def _fields(node: MapNode, object_id: str, problems: Problems) -> Iterator[Field]:
    """Every field; the values of a repeated key stand together, where the key stood first."""
    grouped: dict[str, list[Field]] = {}
    for member in node.members:
        if member.key in {"id", "name"}:
            continue
        values = values_of(
            member.value,
            problems,
            object_id=object_id,
            field_name=member.key,
            position=member.position,
        )
        fields = grouped.setdefault(member.key, [])
        fields.extend(Field(member.key, value, position) for value, position in values)
    for fields in grouped.values():
        yield from fields


def read_parameters(node: Node | None, problems: Problems) -> tuple[ParameterObject, ...]:
    """The declarations of parameters: a list of maps with an id and attributes."""
    read = (_parameter(item, problems) for item in maps(node, "'parameters'", problems))
    return tuple(item for item in read if item is not None)


def _parameter(node: MapNode, problems: Problems) -> ParameterObject | None:
    parameter_id = plain_text(node.get("id"), "a parameter's id", problems, node.position)
    if parameter_id is None:
        problems.add("missing-id", "a parameter has no id", node.position)
        return None
    attributes = [
        (member.key, text)
        for member in node.members
        if member.key not in {"id", "attributes"}
        for text in _texts(member.value, f"parameter {parameter_id!r}, {member.key}", problems)
    ]
    # Some published files nest the attributes, as the API does.
    attributes += api_form.read_attributes(node, parameter_id, api_form.API, problems)
    return ParameterObject(id=parameter_id, attributes=tuple(attributes), position=node.position)


def read_values(node: Node | None, problems: Problems) -> tuple[ParameterValue, ...]:
    """The values of parameters: a map of id to text or a list of texts."""
    if node is None or (isinstance(node, Scalar) and node.kind == "null"):
        return ()
    if not isinstance(node, MapNode):
        message = f"'values' is {describe(node)}; wanted an object of parameter id and value"
        problems.add("bad-shape", message, node.position)
        return ()
    return tuple(
        ParameterValue(id=member.key, value=text, position=member.position)
        for member in node.members
        for text in _texts(member.value, f"the value of parameter {member.key!r}", problems)
    )


def _texts(node: Node, what: str, problems: Problems) -> Iterator[str]:
    for item in node.items if isinstance(node, ListNode) else (node,):
        text = text_of(item)
        if text is None:
            problems.add("bad-shape", f"{what} is {describe(item)}; wanted a string", item.position)
        else:
            yield text
