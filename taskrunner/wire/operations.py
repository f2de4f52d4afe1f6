"""The 19 operations of the API: a typed request and reply for each.

Members are the wire's with their names in snake case. Where the model of definitions and tasks has
the same notion, its class is used: Field, PipelineObject, ParameterObject, ParameterValue, and
Task for the wire's TaskObject.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from taskrunner.wire.api import Request
from taskrunner.wire.inputs import (
    ActivatePipelineInput,
    AddTagsInput,
    CreatePipelineInput,
    DeactivatePipelineInput,
    DeletePipelineInput,
    DescribeObjectsInput,
    DescribePipelinesInput,
    EvaluateExpressionInput,
    GetPipelineDefinitionInput,
    ListPipelinesInput,
    PollForTaskInput,
    PutPipelineDefinitionInput,
    QueryObjectsInput,
    RemoveTagsInput,
    ReportTaskProgressInput,
    ReportTaskRunnerHeartbeatInput,
    SetStatusInput,
    SetTaskStatusInput,
    ValidatePipelineDefinitionInput,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation's request and reply classes; no reply class: the body is empty."""

    input: type[Request[Any]]
    output: type | None


def _operation(request: type[Request[Any]]) -> Operation:
    """The reply's class is the one that the request's class names."""
    ((output,),) = (get_args(base) for base in vars(request)["__orig_bases__"])
    return Operation(input=request, output=None if output is type(None) else output)


#: Every operation by its wire name.
OPERATIONS: Mapping[str, Operation] = {
    "ActivatePipeline": _operation(ActivatePipelineInput),
    "AddTags": _operation(AddTagsInput),
    "CreatePipeline": _operation(CreatePipelineInput),
    "DeactivatePipeline": _operation(DeactivatePipelineInput),
    "DeletePipeline": _operation(DeletePipelineInput),
    "DescribeObjects": _operation(DescribeObjectsInput),
    "DescribePipelines": _operation(DescribePipelinesInput),
    "EvaluateExpression": _operation(EvaluateExpressionInput),
    "GetPipelineDefinition": _operation(GetPipelineDefinitionInput),
    "ListPipelines": _operation(ListPipelinesInput),
    "PollForTask": _operation(PollForTaskInput),
    "PutPipelineDefinition": _operation(PutPipelineDefinitionInput),
    "QueryObjects": _operation(QueryObjectsInput),
    "RemoveTags": _operation(RemoveTagsInput),
    "ReportTaskProgress": _operation(ReportTaskProgressInput),
    "ReportTaskRunnerHeartbeat": _operation(ReportTaskRunnerHeartbeatInput),
    "SetStatus": _operation(SetStatusInput),
    "SetTaskStatus": _operation(SetTaskStatusInput),
    "ValidatePipelineDefinition": _operation(ValidatePipelineDefinitionInput),
}
_NAMES = {operation.input: name for name, operation in OPERATIONS.items()}


def operation_of(request: Request[Any]) -> str:
    """The wire name of the operation that a request is for."""
    return _NAMES[type(request)]
