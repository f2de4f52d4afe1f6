"""Files to definitions: every form that people keep, told apart by what stands in it.

`read_definition` raises on the first mistake of shape; `read_document` notes it and reads on, for
those who want everything that is wrong at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from taskrunner.errors import Place
from taskrunner.model.document import Definition, ParameterObject, ParameterValue, PipelineObject
from taskrunner.model.sources import api_form, cli_form, cloudformation, other_forms, terraform
from taskrunner.model.sources.json_text import parse_json
from taskrunner.model.sources.problems import Problem, Problems, Unreadable
from taskrunner.model.sources.tree import ListNode, MapNode, Node, describe

_CLI_PARTS = ("objects", "parameters", "values", "metadata")
_YAML_ENDINGS = (".yaml", ".yml")
#: A text that begins as YAML does, or has a line that begins as a part of ours does.
_YAML = re.compile(
    r"\A(?:\s|#.*)*---\s|^(?:Resources|AWSTemplateFormatVersion|objects|parameters|values"
    r"|pipelineObjects|parameterObjects|parameterValues)[ \t]*:(?:\s|$)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A definition as far as it could be read, and what was wrong with its shape."""

    definition: Definition
    problems: tuple[Problem, ...] = ()

    def checked(self) -> Definition:
        """The definition; raises DefinitionError for the first problem."""
        for problem in self.problems:
            if not problem.warning:
                raise problem.error()
        return self.definition


def decode(data: bytes, *, source: str | None = None) -> str:
    """The text of a file in UTF-8, with or without a byte order mark; raises DefinitionError."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if other := other_forms.of_bytes(data):
            place = Place(source=source, line=1, column=1)
            raise Unreadable(other, place, code="other-form") from None
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        message = f"not UTF-8: found the byte 0x{data[error.start]:02x}"
        place = Place(source=source, line=line, column=column)
        raise Unreadable(message, place, code="not-utf8") from None


def read_definition(
    text: str, *, source: str | None = None, resource: str | None = None
) -> Definition:
    """The definition that a text holds, in whichever form; raises DefinitionError with its place.

    `source` names the text in messages and tells forms by its ending. `resource` says which
    pipeline of a CloudFormation template or Terraform plan is meant when there are several.
    """
    return read_document(text, source=source, resource=resource).checked()


def read_document(text: str, *, source: str | None = None, resource: str | None = None) -> Document:
    """As `read_definition`, but only a text that is no definition at all raises."""
    node = _parse(text, source)
    if not isinstance(node, MapNode):
        raise _no_definition(f"found {describe(node)}", node, source)
    problems = Problems(source)
    definition = _definition(node, problems, source, resource)
    return Document(definition=definition, problems=tuple(problems.found))


def read_parameters(text: str, *, source: str | None = None) -> tuple[ParameterObject, ...]:
    """The declarations in a parameters file (`{"parameters": [...]}`); raises DefinitionError."""
    node = _parse(text, source)
    problems = Problems(source)
    if isinstance(node, ListNode):
        found = cli_form.read_parameters(node, problems)
    elif isinstance(node, MapNode) and node.has("parameterObjects"):
        found = api_form.read_parameters(node.get("parameterObjects"), api_form.API, problems)
    elif isinstance(node, MapNode) and node.has("parameters"):
        found = cli_form.read_parameters(node.get("parameters"), problems)
    else:
        raise _wanted("'parameters' with a list of parameters", node, source)
    Document(definition=Definition(), problems=tuple(problems.found)).checked()
    return found


def read_values(text: str, *, source: str | None = None) -> tuple[ParameterValue, ...]:
    """The values in a values file (`{"values": {id: text}}`); raises DefinitionError."""
    node = _parse(text, source)
    problems = Problems(source)
    if isinstance(node, MapNode) and node.has("parameterValues"):
        found = api_form.read_values(node.get("parameterValues"), api_form.API, problems)
    elif isinstance(node, MapNode) and node.has("values"):
        found = cli_form.read_values(node.get("values"), problems)
    else:
        raise _wanted("'values' with an object of parameter id and value", node, source)
    Document(definition=Definition(), problems=tuple(problems.found)).checked()
    return found


def _parse(text: str, source: str | None) -> Node:
    text = text.removeprefix("\ufeff")
    is_json = text.lstrip()[:1] in {"{", "["}
    named_yaml = source is not None and source.lower().endswith(_YAML_ENDINGS)
    if is_json:
        return parse_json(text, source)
    if not named_yaml and (other := other_forms.of_text(text, source)):
        place = Place(source=source, line=1, column=1)
        raise Unreadable(other, place, code="other-form")
    if named_yaml or _YAML.search(text):
        from taskrunner.model.sources.yaml_text import parse_yaml

        return parse_yaml(text, source)
    return parse_json(text, source)


def _definition(
    node: MapNode, problems: Problems, source: str | None, resource: str | None
) -> Definition:
    if node.has("pipelineObjects"):
        return _api(node, api_form.API, problems, source)
    if node.has("objects"):
        return _cli(node, problems, source)
    if terraform.is_terraform(node):
        wanted = f"wanted a resource of type {terraform.RESOURCE_TYPE}"
        found = terraform.find_pipelines(node)
        chosen = _choose(found, resource, node, wanted, source)
        definition = _api(chosen, api_form.TERRAFORM, problems, source)
        return replace(definition, objects=terraform.with_references(definition.objects))
    wanted = (
        "wanted a pipeline definition: an object with 'objects' or 'pipelineObjects', "
        f"or a template with a resource of type {cloudformation.RESOURCE_TYPE}"
    )
    chosen = _choose(cloudformation.find_pipelines(node), resource, node, wanted, source)
    properties = cloudformation.properties(chosen, problems)
    return _api(properties, api_form.CLOUDFORMATION, problems, source)


def _choose(
    found: Mapping[str, MapNode],
    resource: str | None,
    node: MapNode,
    wanted: str,
    source: str | None,
) -> MapNode:
    if not found:
        if other := other_forms.of_object(node):
            raise _error(other, node, source, code="other-form")
        keys = ", ".join(repr(m.key) for m in node.members[:5]) or "no keys"
        raise _error(f"found an object with {keys}, {wanted}", node, source)
    names = ", ".join(repr(name) for name in found)
    if resource is not None and resource not in found:
        raise _error(f"found no pipeline {resource!r}, wanted one of {names}", node, source)
    if resource is None and len(found) > 1:
        message = f"found {len(found)} pipelines ({names}), wanted one: say which resource is meant"
        raise _error(message, node, source)
    return found[resource] if resource is not None else next(iter(found.values()))


def _api(
    node: MapNode, spelling: api_form.Spelling, problems: Problems, source: str | None
) -> Definition:
    return Definition(
        objects=api_form.read_objects(node.get(spelling.objects), spelling, problems),
        parameters=api_form.read_parameters(node.get(spelling.parameters), spelling, problems),
        values=api_form.read_values(node.get(spelling.values), spelling, problems),
        source=source,
    )


def _cli(node: MapNode, problems: Problems, source: str | None) -> Definition:
    _note_parts(node, problems)
    return Definition(
        objects=_cli_objects(node.get("objects"), problems),
        parameters=cli_form.read_parameters(node.get("parameters"), problems),
        values=cli_form.read_values(node.get("values"), problems),
        source=source,
    )


def _note_parts(node: MapNode, problems: Problems) -> None:
    """Parts given twice, of which one would be lost, and parts that nothing reads."""
    seen: set[str] = set()
    for member in node.members:
        if member.key in seen:
            message = f"{member.key!r} is given more than once; wanted one"
            problems.add("repeated-key", message, member.position)
        elif member.key not in _CLI_PARTS and not member.key.startswith("my"):
            parts = ", ".join(_CLI_PARTS)
            message = f"nothing reads {member.key!r}; a definition has {parts}"
            problems.add("unknown-part", message, member.position, warning=True)
        seen.add(member.key)


def _cli_objects(node: Node | None, problems: Problems) -> tuple[PipelineObject, ...]:
    """Objects under `objects`; published files put objects of the API's shape there too."""
    if isinstance(node, ListNode) and any(map(_is_api_object, node.items)):
        return api_form.read_objects(node, api_form.API, problems)
    return cli_form.read_objects(node, problems)


def _is_api_object(node: Node) -> bool:
    if not isinstance(node, MapNode):
        return False
    fields = node.get("fields")
    return isinstance(fields, ListNode) and all(isinstance(f, MapNode) for f in fields.items)


def _no_definition(found: str, node: Node, source: str | None) -> Unreadable:
    wanted = "wanted a pipeline definition: an object with 'objects' or 'pipelineObjects'"
    return _error(f"{found}, {wanted}", node, source)


def _wanted(wanted: str, node: Node, source: str | None) -> Unreadable:
    return _error(f"found {describe(node)} without it, wanted {wanted}", node, source)


def _error(
    message: str, node: Node, source: str | None, *, code: str = "no-definition"
) -> Unreadable:
    position = node.position
    place = Place(
        source=source,
        line=position.line if position else None,
        column=position.column if position else None,
    )
    return Unreadable(message, place, code=code)
