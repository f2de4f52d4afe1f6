"""The 19 operations of the API: a typed request and reply for each.

Members are the wire's with their names in snake case. Where the model of definitions and tasks has
the same notion, its class is used: Field, PipelineObject, ParameterObject, ParameterValue, and
Task for the wire's TaskObject.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from taskrunner.wire import inputs, runner_messages
from taskrunner.wire.api import Request


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
    "ActivatePipeline": _operation(inputs.ActivatePipelineInput),
    "AddTags": _operation(inputs.AddTagsInput),
    "CreatePipeline": _operation(inputs.CreatePipelineInput),
    "DeactivatePipeline": _operation(inputs.DeactivatePipelineInput),
    "DeletePipeline": _operation(inputs.DeletePipelineInput),
    "DescribeObjects": _operation(inputs.DescribeObjectsInput),
    "DescribePipelines": _operation(inputs.DescribePipelinesInput),
    "EvaluateExpression": _operation(inputs.EvaluateExpressionInput),
    "GetPipelineDefinition": _operation(inputs.GetPipelineDefinitionInput),
    "ListPipelines": _operation(inputs.ListPipelinesInput),
    "PollForTask": _operation(runner_messages.PollForTaskInput),
    "PutPipelineDefinition": _operation(inputs.PutPipelineDefinitionInput),
    "QueryObjects": _operation(inputs.QueryObjectsInput),
    "RemoveTags": _operation(inputs.RemoveTagsInput),
    "ReportTaskProgress": _operation(runner_messages.ReportTaskProgressInput),
    "ReportTaskRunnerHeartbeat": _operation(runner_messages.ReportTaskRunnerHeartbeatInput),
    "SetStatus": _operation(inputs.SetStatusInput),
    "SetTaskStatus": _operation(runner_messages.SetTaskStatusInput),
    "ValidatePipelineDefinition": _operation(inputs.ValidatePipelineDefinitionInput),
}
