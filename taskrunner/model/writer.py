"""Definitions back to files, in the AWS CLI's form and the API's, in stable order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from taskrunner.model.codec import DEFINITION
from taskrunner.model.document import Definition, Field, ParameterObject, PipelineObject, Ref


def to_cli(definition: Definition) -> dict[str, object]:
    """The form of `aws datapipeline put-pipeline-definition --pipeline-definition`.

    A field with several values becomes a list. `parameters` and `values` are there when not empty.
    """
    document: dict[str, object] = {"objects": [_cli_object(item) for item in definition.objects]}
    if definition.parameters:
        document["parameters"] = [_cli_parameter(item) for item in definition.parameters]
    if definition.values:
        document["values"] = _grouped((item.id, item.value) for item in definition.values)
    return document


def dumps_cli(definition: Definition) -> str:
    """The text of a file in the AWS CLI's form."""
    return _dumps(to_cli(definition))


def dumps_api(definition: Definition) -> str:
    """The text of a file in the API's form."""
    return _dumps(DEFINITION.encode(definition))


def _dumps(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _cli_object(item: PipelineObject) -> dict[str, object]:
    values = ((f.key, _cli_value(f)) for f in item.fields)
    return {"id": item.id, "name": item.name, **_grouped(values)}


def _cli_value(item: Field) -> object:
    return {"ref": item.value.id} if isinstance(item.value, Ref) else str(item.value)


def _cli_parameter(item: ParameterObject) -> dict[str, object]:
    return {"id": item.id, **_grouped(item.attributes)}


def _grouped(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """Each key once, where it stood first; several values as a list."""
    lists: dict[str, list[object]] = {}
    for key, value in pairs:
        lists.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in lists.items()}
