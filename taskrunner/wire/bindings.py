"""How a structure of the wire becomes one of our classes, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from taskrunner.model import codec
from taskrunner.model.codec import Form, Members
from taskrunner.model.task import Task
from taskrunner.wire.api import InstanceIdentity
from taskrunner.wire.runner_messages import (
    PollForTaskInput,
    PollForTaskOutput,
    ReportTaskProgressInput,
    ReportTaskProgressOutput,
    ReportTaskRunnerHeartbeatInput,
    ReportTaskRunnerHeartbeatOutput,
    SetTaskStatusInput,
    SetTaskStatusOutput,
)


@cache
def binding_of(shape_name: str) -> Form[Any]:
    """The binding of a structure of the service model; raises KeyError for one without."""
    special = _SPECIAL.get(shape_name)
    return special or _dataclass_binding(_class_of(shape_name))


def _dataclass_binding(cls: type) -> Form[Any]:
    names = {_wire_name(item.name): item.name for item in fields(cls)}

    def build(members: Members) -> Any:
        return cls(**{names[key]: value for key, value in members.items() if key in names})

    def split(value: Any) -> Members:
        return {key: getattr(value, name) for key, name in names.items()}

    return Form(build=build, split=split)


def _wire_name(name: str) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)


def _class_of(shape_name: str) -> type:
    """The dataclass with the members of a structure of the service model; raises KeyError."""
    return _OF_RUNNERS.get(shape_name) or _other_classes()[shape_name]


@cache
def _other_classes() -> Mapping[str, type]:
    from taskrunner.wire import structures
    from taskrunner.wire.operations import OPERATIONS

    operations = OPERATIONS.values()
    messages = {cls for op in operations for cls in (op.input, op.output) if cls is not None}
    parts = (
        *(structures.Operator, structures.PipelineDescription, structures.PipelineIdName),
        *(structures.Query, structures.Selector),
        *(structures.ValidationError, structures.ValidationWarning),
    )
    return {cls.__name__: cls for cls in (*messages, *parts)}


def _build_task(members: Members) -> Task | None:
    # Without an id: a poll's way of saying that there was none.
    return codec.TASK.build(members) if "taskId" in members else None


def _build_tag(members: Members) -> object:
    from taskrunner.wire.structures import Tag

    return Tag(members["key"], members["value"])


#: What a runner sends and gets; the rest is not even loaded in an agent.
_OF_RUNNERS: Mapping[str, type] = {
    cls.__name__: cls
    for cls in (
        *(InstanceIdentity, PollForTaskInput, PollForTaskOutput),
        *(ReportTaskProgressInput, ReportTaskProgressOutput),
        *(ReportTaskRunnerHeartbeatInput, ReportTaskRunnerHeartbeatOutput),
        *(SetTaskStatusInput, SetTaskStatusOutput),
    )
}
_SPECIAL: Mapping[str, Form[Any]] = {
    "Field": codec.FIELD,
    "PipelineObject": codec.OBJECT,
    "TaskObject": Form(build=_build_task, split=codec.TASK.split),
    "Tag": Form(build=_build_tag, split=lambda tag: {"key": tag[0], "value": tag[1]}),
    "ParameterAttribute": codec.ATTRIBUTE,
    "ParameterObject": codec.PARAMETER,
    "ParameterValue": codec.VALUE,
}
