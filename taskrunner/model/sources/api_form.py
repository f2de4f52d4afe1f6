"""The API's form: objects whose `fields` are a list of key and value.

CloudFormation and Terraform write the same shape with other spellings of its keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from taskrunner.model.document import (
    Field,
    ParameterObject,
    ParameterValue,
    PipelineObject,
    Ref,
    Unresolved,
    Value,
)
from taskrunner.model.sources.problems import Problems
from taskrunner.model.sources.tree import MapNode, Node, Scalar
from taskrunner.model.sources.values import maps, plain_text, text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How a dialect spells the keys of the shape."""

    objects: str
    parameters: str
    values: str
    id: str
    name: str
    fields: str
    attributes: str
    key: str
    string_value: str
    ref_value: str


API = Spelling(
    objects="pipelineObjects",
    parameters="parameterObjects",
    values="parameterValues",
    id="id",
    name="name",
    fields="fields",
    attributes="attributes",
    key="key",
    string_value="stringValue",
    ref_value="refValue",
)
CLOUDFORMATION = Spelling(
    objects="PipelineObjects",
    parameters="ParameterObjects",
    values="ParameterValues",
    id="Id",
    name="Name",
    fields="Fields",
    attributes="Attributes",
    key="Key",
    string_value="StringValue",
    ref_value="RefValue",
)
TERRAFORM = Spelling(
    objects="pipeline_object",
    parameters="parameter_object",
    values="parameter_value",
    id="id",
    name="name",
    fields="field",
    attributes="attribute",
    key="key",
    string_value="string_value",
    ref_value="ref_value",
)


def read_objects(
    node: Node | None, spelling: Spelling, problems: Problems
) -> tuple[PipelineObject, ...]:
    """The objects of a list; one without an id is noted and left out."""
    what = f"'{spelling.objects}'"
    read = (read_object(item, spelling, problems) for item in maps(node, what, problems))
    return tuple(item for item in read if item is not None)


def read_object(node: MapNode, spelling: Spelling, problems: Problems) -> PipelineObject | None:
    """One object; without a name it is named by its id."""
    object_id = plain_text(node.get(spelling.id), "an object's id", problems, node.position)
    if object_id is None:
        problems.add("missing-id", "an object has no id", node.position)
        return None
    name = plain_text(node.get(spelling.name), "an object's name", problems, node.position)
    return PipelineObject(
        id=object_id,
        name=object_id if name is None else name,
        fields=tuple(_fields(node, object_id, spelling, problems)),
        position=node.position,
    )


def _fields(
    node: MapNode, object_id: str, spelling: Spelling, problems: Problems
) -> Iterator[Field]:
    what = f"'{spelling.fields}' of object {object_id!r}"
    for item in maps(node.get(spelling.fields), what, problems):
        key = plain_text(item.get(spelling.key), "a field's key", problems, item.position)
        value = _value(item, spelling)
        wrong = _wrong_key(key, spelling) or _wrong_value(key, value, item, spelling)
        if wrong is None and key is not None and value is not None:
            yield Field(key, value, item.position)
        elif wrong is not None:
            code, message = wrong
            problems.add(
                code,
                message,
                item.position,
                object_id=object_id,
                field_name=key,
                warning=code == "unresolved-value",
            )


def _wrong_key(key: str | None, spelling: Spelling) -> tuple[str, str] | None:
    if not key:
        return ("bad-shape", f"a field has no {spelling.key!r}")
    if isinstance(key, Unresolved):
        return ("unresolved-value", f"a field's name is not known before deployment: {key}")
    if key in {"id", "name"}:
        return ("repeated-key", f"{key} stands among the fields too; wanted it beside them only")
    return None


def _wrong_value(
    key: str | None, value: Value | None, item: MapNode, spelling: Spelling
) -> tuple[str, str] | None:
    if value is not None:
        return None
    wanted = f"wanted one of {spelling.string_value!r} and {spelling.ref_value!r}"
    return ("bad-value-shape", f"{wanted} for {key!r}, found {_found(item, spelling)}")


def _value(item: MapNode, spelling: Spelling) -> Value | None:
    """The value of a field; none when it has neither or both."""
    string = text_of(item.get(spelling.string_value))
    target = text_of(item.get(spelling.ref_value))
    if spelling is TERRAFORM:
        # A plan prints the attribute that was left out as an empty string.
        string, target = (string or None, target or None) if string or target else (string, None)
    if (string is None) == (target is None):
        return None
    if target is None:
        return string
    return target if isinstance(target, Unresolved) else Ref(target)


def _found(item: MapNode, spelling: Spelling) -> str:
    pair = (item.get(spelling.string_value), item.get(spelling.ref_value))
    given = [n for n in pair if n is not None and not (isinstance(n, Scalar) and n.kind == "null")]
    return ("neither", "no text", "both")[len(given)]


def read_parameters(
    node: Node | None, spelling: Spelling, problems: Problems
) -> tuple[ParameterObject, ...]:
    """The declarations of parameters."""
    read = (
        _parameter(item, spelling, problems)
        for item in maps(node, f"'{spelling.parameters}'", problems)
    )
    return tuple(item for item in read if item is not None)


def _parameter(node: MapNode, spelling: Spelling, problems: Problems) -> ParameterObject | None:
    parameter_id = plain_text(node.get(spelling.id), "a parameter's id", problems, node.position)
    if parameter_id is None:
        problems.add("missing-id", "a parameter has no id", node.position)
        return None
    attributes = read_attributes(node, parameter_id, spelling, problems)
    return ParameterObject(id=parameter_id, attributes=tuple(attributes), position=node.position)


def read_attributes(
    node: MapNode, parameter_id: str, spelling: Spelling, problems: Problems
) -> list[tuple[str, str]]:
    """The attributes of a parameter: a list of key and value."""
    what = f"'{spelling.attributes}' of parameter {parameter_id!r}"
    attributes: list[tuple[str, str]] = []
    for item in maps(node.get(spelling.attributes), what, problems):
        key, text = text_of(item.get(spelling.key)), text_of(item.get(spelling.string_value))
        if key is None or text is None:
            message = f"an attribute of {parameter_id!r} wants a key and a string value"
            problems.add("bad-shape", message, item.position)
        else:
            attributes.append((key, text))
    return attributes


def read_values(
    node: Node | None, spelling: Spelling, problems: Problems
) -> tuple[ParameterValue, ...]:
    """The values of parameters, one map each."""
    values: list[ParameterValue] = []
    for item in maps(node, f"'{spelling.values}'", problems):
        parameter_id = text_of(item.get(spelling.id))
        text = text_of(item.get(spelling.string_value))
        if parameter_id is None or text is None:
            problems.add("bad-shape", "a parameter value wants an id and a string", item.position)
        else:
            values.append(ParameterValue(id=parameter_id, value=text, position=item.position))
    return tuple(values)
