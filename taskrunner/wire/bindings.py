"""How a structure of the wire becomes one of our classes, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from taskrunner.model.document import Field, ParameterObject, ParameterValue, PipelineObject, Ref
from taskrunner.model.task import Task
from taskrunner.wire.api import InstanceIdentity
from taskrunner.wire.operations import OPERATIONS
from taskrunner.wire.structures import (
    Operator,
    PipelineDescription,
    PipelineIdName,
    Query,
    Selector,
    Tag,
    ValidationError,
    ValidationWarning,
)

Members = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Both directions of one structure, over its members that are not null, by wire name.

    `build` raises ValueError when the members do not go together; the message ends a sentence that
    names the structure's place.
    """

    build: Callable[[Members], Any]
    split: Callable[[Any], Members]


@cache
def binding_of(shape_name: str) -> Binding:
    """The binding of a structure of the service model; raises KeyError for one without."""
    special = _SPECIAL.get(shape_name)
    return special or _dataclass_binding(_classes()[shape_name])


def _dataclass_binding(cls: type) -> Binding:
    names = {_wire_name(item.name): item.name for item in fields(cls)}

    def build(members: Members) -> Any:
        return cls(**{names[key]: value for key, value in members.items() if key in names})

    def split(value: Any) -> Members:
        return {key: getattr(value, name) for key, name in names.items()}

    return Binding(build=build, split=split)


def _wire_name(name: str) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)


def _classes() -> Mapping[str, type]:
    """Structure of the service model -> the dataclass with the same members."""
    operations = OPERATIONS.values()
    messages = {cls for op in operations for cls in (op.input, op.output) if cls is not None}
    return {cls.__name__: cls for cls in messages} | {
        "Operator": Operator,
        "PipelineDescription": PipelineDescription,
        "PipelineIdName": PipelineIdName,
        "Query": Query,
        "Selector": Selector,
        "ValidationError": ValidationError,
        "ValidationWarning": ValidationWarning,
    }


def _build_field(members: Members) -> Field:
    if "stringValue" in members and "refValue" in members:
        raise ValueError("must have one of stringValue and refValue, not both")
    if "refValue" in members:
        return Field(members["key"], Ref(members["refValue"]))
    # AWS leaves out a stringValue that is empty.
    return Field(members["key"], members.get("stringValue", ""))


def _split_field(field: Field) -> Members:
    if isinstance(field.value, Ref):
        return {"key": field.key, "refValue": field.value.id}
    return {"key": field.key, "stringValue": field.value}


def _build_object(members: Members) -> PipelineObject:
    return PipelineObject(id=members["id"], name=members["name"], fields=members["fields"])


def _split_object(value: PipelineObject) -> Members:
    return {"id": value.id, "name": value.name, "fields": value.fields}


def _build_task(members: Members) -> Task | None:
    if "taskId" not in members:
        return None  # a poll's way of saying that there was none
    missing = [name for name in ("pipelineId", "attemptId", "objects") if name not in members]
    if missing:
        raise ValueError(f"must have {missing[0]} beside taskId")
    return Task(
        task_id=members["taskId"],
        pipeline_id=members["pipelineId"],
        attempt_id=members["attemptId"],
        objects=members["objects"],
    )


def _split_task(value: Task) -> Members:
    return {
        "taskId": value.task_id,
        "pipelineId": value.pipeline_id,
        "attemptId": value.attempt_id,
        "objects": value.objects,
    }


def _build_identity(members: Members) -> InstanceIdentity:
    # The model requires neither; whoever checks the signature finds an empty one wrong.
    return InstanceIdentity(
        document=members.get("document", ""), signature=members.get("signature", "")
    )


_SPECIAL: Mapping[str, Binding] = {
    "InstanceIdentity": Binding(
        build=_build_identity,
        split=lambda value: {"document": value.document, "signature": value.signature},
    ),
    "Field": Binding(build=_build_field, split=_split_field),
    "PipelineObject": Binding(build=_build_object, split=_split_object),
    "TaskObject": Binding(build=_build_task, split=_split_task),
    "Tag": Binding(
        build=lambda members: Tag(members["key"], members["value"]),
        split=lambda tag: {"key": tag[0], "value": tag[1]},
    ),
    "ParameterAttribute": Binding(
        build=lambda members: (members["key"], members["stringValue"]),
        split=lambda pair: {"key": pair[0], "stringValue": pair[1]},
    ),
    "ParameterObject": Binding(
        build=lambda members: ParameterObject(id=members["id"], attributes=members["attributes"]),
        split=lambda value: {"id": value.id, "attributes": value.attributes},
    ),
    "ParameterValue": Binding(
        build=lambda members: ParameterValue(id=members["id"], value=members["stringValue"]),
        split=lambda value: {"id": value.id, "stringValue": value.value},
    ),
}
