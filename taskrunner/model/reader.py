"""Files to definitions: every form that people keep, told apart by what stands in it.

`read_definition` raises on the first mistake of shape; `read_document` notes it and reads on, for
those who want everything that is wrong at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taskrunner.errors import DefinitionError, Place
from taskrunner.model.document import Definition, PipelineObject
from taskrunner.model.sources import api_form, cli_form
from taskrunner.model.sources.json_text import parse_json
from taskrunner.model.sources.problems import Problem, Problems
from taskrunner.model.sources.tree import ListNode, MapNode, Node, describe, from_python

__all__ = ["Document", "decode", "from_api", "read_definition", "read_document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A definition as far as it could be read, and what was wrong with its shape."""

    definition: Definition
    problems: tuple[Problem, ...] = ()


def decode(data: bytes, *, source: str | None = None) -> str:
    """The text of a file in UTF-8, with or without a byte order mark; raises DefinitionError."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        message = f"not UTF-8: found the byte 0x{data[error.start]:02x}"
        raise DefinitionError(message, Place(source=source, line=line, column=column)) from None


def read_definition(text: str, *, source: str | None = None) -> Definition:
    """The definition that a text holds, in whichever form; raises DefinitionError with its place.

    `source` names the text in messages and tells YAML by its ending.
    """
    document = read_document(text, source=source)
    if document.problems:
        raise document.problems[0].error()
    return document.definition


def read_document(text: str, *, source: str | None = None) -> Document:
    """As `read_definition`, but only a text that is no definition at all raises."""
    node = parse_json(text.removeprefix("\ufeff"), source)
    return _document(node, source)


def from_api(
    objects: Sequence[Mapping[str, object]],
    parameters: Sequence[Mapping[str, object]] = (),
    values: Sequence[Mapping[str, object]] = (),
    *,
    source: str | None = None,
) -> Definition:
    """The definition of a call's decoded pipelineObjects, parameterObjects and parameterValues.

    Raises DefinitionError where an item has not the API's shape.
    """
    problems = Problems(source)
    definition = Definition(
        objects=api_form.read_objects(from_python(objects), api_form.API, problems),
        parameters=api_form.read_parameters(from_python(parameters), api_form.API, problems),
        values=api_form.read_values(from_python(values), api_form.API, problems),
        source=source,
    )
    if problems.found:
        raise problems.found[0].error()
    return definition


def _document(node: Node, source: str | None) -> Document:
    problems = Problems(source)
    if not isinstance(node, MapNode):
        raise _no_definition(f"found {describe(node)}", node, source)
    if node.has("pipelineObjects"):
        definition = _api(node, problems, source)
    elif node.has("objects"):
        definition = _cli(node, problems, source)
    else:
        keys = ", ".join(repr(m.key) for m in node.members[:5]) or "no keys"
        raise _no_definition(f"found an object with {keys}", node, source)
    return Document(definition=definition, problems=tuple(problems.found))


def _no_definition(found: str, node: Node, source: str | None) -> DefinitionError:
    position = node.position
    place = Place(
        source=source,
        line=position.line if position else None,
        column=position.column if position else None,
    )
    wanted = "wanted a pipeline definition: a JSON object with 'objects' or 'pipelineObjects'"
    return DefinitionError(f"{found}, {wanted}", place)


def _api(node: MapNode, problems: Problems, source: str | None) -> Definition:
    spelling = api_form.API
    return Definition(
        objects=api_form.read_objects(node.get(spelling.objects), spelling, problems),
        parameters=api_form.read_parameters(node.get(spelling.parameters), spelling, problems),
        values=api_form.read_values(node.get(spelling.values), spelling, problems),
        source=source,
    )


def _cli(node: MapNode, problems: Problems, source: str | None) -> Definition:
    return Definition(
        objects=tuple(_cli_objects(node.get("objects"), problems)),
        parameters=cli_form.read_parameters(node.get("parameters"), problems),
        values=cli_form.read_values(node.get("values"), problems),
        source=source,
    )


def _cli_objects(node: Node | None, problems: Problems) -> list[PipelineObject]:
    """Objects under `objects`; published files put objects of the API's shape there too."""
    if isinstance(node, ListNode) and any(map(_is_api_object, node.items)):
        return list(api_form.read_objects(node, api_form.API, problems))
    return list(cli_form.read_objects(node, problems))


def _is_api_object(node: Node) -> bool:
    if not isinstance(node, MapNode):
        return False
    fields = node.get("fields")
    return isinstance(fields, ListNode) and all(isinstance(f, MapNode) for f in fields.items)
