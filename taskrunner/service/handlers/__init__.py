"""Which function carries out which operation: (service, caller, typed request) -> typed reply."""

from __future__ import annotations

from collections.abc import Mapping

from taskrunner.service.handler import Handler
from taskrunner.service.handlers import definitions, objects, pipelines, tasks

#: PollForTask's makes one try; the edge waits and calls it again.
HANDLERS: Mapping[str, Handler] = {
    "ActivatePipeline": pipelines.activate_pipeline,
    "AddTags": pipelines.add_tags,
    "CreatePipeline": pipelines.create_pipeline,
    "DeactivatePipeline": pipelines.deactivate_pipeline,
    "DeletePipeline": pipelines.delete_pipeline,
    "DescribeObjects": objects.describe_objects,
    "DescribePipelines": pipelines.describe_pipelines,
    "EvaluateExpression": objects.evaluate_expression,
    "GetPipelineDefinition": definitions.get_pipeline_definition,
    "ListPipelines": pipelines.list_pipelines,
    "PollForTask": tasks.poll_for_task,
    "PutPipelineDefinition": definitions.put_pipeline_definition,
    "QueryObjects": objects.query_objects,
    "RemoveTags": pipelines.remove_tags,
    "ReportTaskProgress": tasks.report_task_progress,
    "ReportTaskRunnerHeartbeat": tasks.report_task_runner_heartbeat,
    "SetStatus": objects.set_status,
    "SetTaskStatus": tasks.set_task_status,
    "ValidatePipelineDefinition": definitions.validate_pipeline_definition,
}
