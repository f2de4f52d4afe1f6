"""Every route of /v1. The OpenAPI document is made of this, and whoever calls is checked by it."""

from __future__ import annotations

from taskrunner.service.v1 import (
    definitions,
    instances,
    logs,
    pipelines,
    requests,
    runs,
    shapes,
)
from taskrunner.service.v1.route import Route

_PIPELINE = "/v1/pipelines/{pipeline_id}"

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/v1/pipelines",
        action="DescribePipelines",
        request=requests.ListPipelines,
        reply=shapes.PipelineList,
        handler=pipelines.list_pipelines,
        summary="Pipelines: which are broken, what runs and waits, and their last runs.",
    ),
    Route(
        method="GET",
        path=_PIPELINE,
        action="DescribePipelines",
        request=requests.ShowPipeline,
        reply=shapes.Pipeline,
        handler=pipelines.show_pipeline,
        summary="One pipeline.",
    ),
    Route(
        method="GET",
        path=f"{_PIPELINE}/grid",
        action="QueryObjects",
        request=requests.ShowGrid,
        reply=shapes.Grid,
        handler=runs.show_grid,
        summary="Components by runs: the structure, without states.",
    ),
    Route(
        method="GET",
        path=f"{_PIPELINE}/states",
        action="QueryObjects",
        request=requests.ShowStates,
        reply=shapes.States,
        handler=runs.show_states,
        summary="The states of instances of runs, or what may have changed since a marker.",
    ),
    Route(
        method="GET",
        path=f"{_PIPELINE}/runs",
        action="QueryObjects",
        request=requests.ListRuns,
        reply=shapes.RunList,
        handler=runs.list_runs,
        summary="Runs, newest first.",
    ),
    Route(
        method="GET",
        path=f"{_PIPELINE}/instances",
        action="QueryObjects",
        request=requests.ListInstances,
        reply=shapes.InstanceList,
        handler=instances.list_instances,
        summary="Instances, newest periods first.",
    ),
    Route(
        method="GET",
        path=f"{_PIPELINE}/instances/{{instance_id}}",
        action="DescribeObjects",
        request=requests.ShowInstance,
        reply=shapes.Instance,
        handler=instances.show_instance,
        summary="One instance with its attempts, and what it has to do with others.",
    ),
    Route(
        method="GET",
        path=f"{_PIPELINE}/attempts/{{attempt_id}}",
        action="DescribeObjects",
        request=requests.ShowAttempt,
        reply=shapes.Attempt,
        handler=instances.show_attempt,
        summary="One attempt, step by step.",
    ),
    Route(
        method="GET",
        path=f"{_PIPELINE}/attempts/{{attempt_id}}/log",
        action="DescribeObjects",
        request=requests.ShowLog,
        reply=shapes.LogPage,
        handler=logs.show_log,
        summary="A page of a log of an attempt, read from where agents push it.",
    ),
    Route(
        method="GET",
        path=f"{_PIPELINE}/definition",
        action="GetPipelineDefinition",
        request=requests.ShowDefinition,
        reply=shapes.Definition,
        handler=definitions.show_definition,
        summary="A version of the definition, secrets masked, and which versions are kept.",
    ),
)
