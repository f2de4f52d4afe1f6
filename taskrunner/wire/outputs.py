"""The typed replies of all but a runner's operations, where there is one."""

from __future__ import annotations

from dataclasses import dataclass

from taskrunner.model.document import ParameterObject, ParameterValue, PipelineObject
from taskrunner.wire.structures import (
    PipelineDescription,
    PipelineIdName,
    ValidationError,
    ValidationWarning,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivatePipelineOutput:
    """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTagsOutput:
    """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePipelineOutput:
    """The pipeline's id."""

    pipeline_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeactivatePipelineOutput:
    """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeObjectsOutput:
    """The objects; a marker when there are more."""

    pipeline_objects: tuple[PipelineObject, ...]
    marker: str | None = None
    has_more_results: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribePipelinesOutput:
    """One description a pipeline."""

    pipeline_description_list: tuple[PipelineDescription, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateExpressionOutput:
    """Its value."""

    evaluated_expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GetPipelineDefinitionOutput:
    """The definition."""

    pipeline_objects: tuple[PipelineObject, ...] = ()
    parameter_objects: tuple[ParameterObject, ...] = ()
    parameter_values: tuple[ParameterValue, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPipelinesOutput:
    """Some pipelines; a marker when there are more."""

    pipeline_id_list: tuple[PipelineIdName, ...]
    marker: str | None = None
    has_more_results: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PutPipelineDefinitionOutput:
    """What is wrong with it; errored: it cannot be activated as it is."""

    errored: bool
    validation_errors: tuple[ValidationError, ...] = ()
    validation_warnings: tuple[ValidationWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryObjectsOutput:
    """Some ids; a marker when there are more."""

    ids: tuple[str, ...] = ()
    marker: str | None = None
    has_more_results: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTagsOutput:
    """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatePipelineDefinitionOutput:
    """What is wrong with it."""

    errored: bool
    validation_errors: tuple[ValidationError, ...] = ()
    validation_warnings: tuple[ValidationWarning, ...] = ()
