"""The 19 operations of the API: a typed request and reply for each.

Members are the wire's with their names in snake case. Where the model of definitions and tasks has
the same notion, its class is used: Field, PipelineObject, ParameterObject, ParameterValue, and
Task for the wire's TaskObject.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
from taskrunner.wire.outputs import (
    ActivatePipelineOutput,
    AddTagsOutput,
    CreatePipelineOutput,
    DeactivatePipelineOutput,
    DescribeObjectsOutput,
    DescribePipelinesOutput,
    EvaluateExpressionOutput,
    GetPipelineDefinitionOutput,
    ListPipelinesOutput,
    PollForTaskOutput,
    PutPipelineDefinitionOutput,
    QueryObjectsOutput,
    RemoveTagsOutput,
    ReportTaskProgressOutput,
    ReportTaskRunnerHeartbeatOutput,
    SetTaskStatusOutput,
    ValidatePipelineDefinitionOutput,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation's request and reply classes; no reply class: the body is empty."""

    input: type
    output: type | None


#: Every operation by its wire name.
OPERATIONS: Mapping[str, Operation] = {
    "ActivatePipeline": Operation(input=ActivatePipelineInput, output=ActivatePipelineOutput),
    "AddTags": Operation(input=AddTagsInput, output=AddTagsOutput),
    "CreatePipeline": Operation(input=CreatePipelineInput, output=CreatePipelineOutput),
    "DeactivatePipeline": Operation(input=DeactivatePipelineInput, output=DeactivatePipelineOutput),
    "DeletePipeline": Operation(input=DeletePipelineInput, output=None),
    "DescribeObjects": Operation(input=DescribeObjectsInput, output=DescribeObjectsOutput),
    "DescribePipelines": Operation(input=DescribePipelinesInput, output=DescribePipelinesOutput),
    "EvaluateExpression": Operation(input=EvaluateExpressionInput, output=EvaluateExpressionOutput),
    "GetPipelineDefinition": Operation(
        input=GetPipelineDefinitionInput, output=GetPipelineDefinitionOutput
    ),
    "ListPipelines": Operation(input=ListPipelinesInput, output=ListPipelinesOutput),
    "PollForTask": Operation(input=PollForTaskInput, output=PollForTaskOutput),
    "PutPipelineDefinition": Operation(
        input=PutPipelineDefinitionInput, output=PutPipelineDefinitionOutput
    ),
    "QueryObjects": Operation(input=QueryObjectsInput, output=QueryObjectsOutput),
    "RemoveTags": Operation(input=RemoveTagsInput, output=RemoveTagsOutput),
    "ReportTaskProgress": Operation(input=ReportTaskProgressInput, output=ReportTaskProgressOutput),
    "ReportTaskRunnerHeartbeat": Operation(
        input=ReportTaskRunnerHeartbeatInput, output=ReportTaskRunnerHeartbeatOutput
    ),
    "SetStatus": Operation(input=SetStatusInput, output=None),
    "SetTaskStatus": Operation(input=SetTaskStatusInput, output=SetTaskStatusOutput),
    "ValidatePipelineDefinition": Operation(
        input=ValidatePipelineDefinitionInput, output=ValidatePipelineDefinitionOutput
    ),
}
