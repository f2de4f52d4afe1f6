"""The typed requests of all but a runner's operations; lists that are not given are empty."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from taskrunner.model.document import (
    Definition,
    ParameterObject,
    ParameterValue,
    PipelineObject,
)
from taskrunner.wire import outputs
from taskrunner.wire.api import Request
from taskrunner.wire.structures import Query, Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivatePipelineInput(Request[outputs.ActivatePipelineOutput]):
    """Start running a pipeline, or start it again; start_timestamp None: where it left off."""

    pipeline_id: str
    parameter_values: tuple[ParameterValue, ...] = ()
    start_timestamp: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTagsInput(Request[outputs.AddTagsOutput]):
    """Add tags to a pipeline, or change them."""

    pipeline_id: str
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePipelineInput(Request[outputs.CreatePipelineOutput]):
    """Make a pipeline; the same name and unique_id give the same pipeline again."""

    name: str
    unique_id: str
    description: str | None = None
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeactivatePipelineInput(Request[outputs.DeactivatePipelineOutput]):
    """Stop a pipeline, canceling what runs or letting it finish."""

    pipeline_id: str
    cancel_active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePipelineInput(Request[None]):
    """Delete a pipeline, its definition and its history. Has no reply body."""

    pipeline_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeObjectsInput(Request[outputs.DescribeObjectsOutput]):
    """Fields of components, instances or attempts."""

    pipeline_id: str
    object_ids: tuple[str, ...]
    evaluate_expressions: bool = False
    marker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribePipelinesInput(Request[outputs.DescribePipelinesOutput]):
    """Fields of pipelines."""

    pipeline_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateExpressionInput(Request[outputs.EvaluateExpressionOutput]):
    """Evaluate an expression as if it stood in a field of an object."""

    pipeline_id: str
    object_id: str
    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GetPipelineDefinitionInput(Request[outputs.GetPipelineDefinitionOutput]):
    """Read a definition back: version `latest` (when not given) or `active`."""

    pipeline_id: str
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPipelinesInput(Request[outputs.ListPipelinesOutput]):
    """List the account's pipelines, from a marker on."""

    marker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutPipelineDefinitionInput(Request[outputs.PutPipelineDefinitionOutput]):
    """Replace a pipeline's definition."""

    pipeline_id: str
    pipeline_objects: tuple[PipelineObject, ...]
    parameter_objects: tuple[ParameterObject, ...] = ()
    parameter_values: tuple[ParameterValue, ...] = ()

    @classmethod
    def of(cls, pipeline_id: str, definition: Definition) -> Self:
        """The request that replaces it by this one."""
        return cls(
            pipeline_id=pipeline_id,
            pipeline_objects=definition.objects,
            parameter_objects=definition.parameters,
            parameter_values=definition.values,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryObjectsInput(Request[outputs.QueryObjectsOutput]):
    """Find objects of a sphere: COMPONENT, INSTANCE or ATTEMPT."""

    pipeline_id: str
    sphere: str
    query: Query | None = None
    marker: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTagsInput(Request[outputs.RemoveTagsOutput]):
    """Remove tags from a pipeline."""

    pipeline_id: str
    tag_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStatusInput(Request[None]):
    """Ask PAUSE or RESUME of components; TRY_CANCEL, RERUN or MARK_FINISHED of instances."""

    pipeline_id: str
    object_ids: tuple[str, ...]
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatePipelineDefinitionInput(Request[outputs.ValidatePipelineDefinitionOutput]):
    """Check a definition without storing it."""

    pipeline_id: str
    pipeline_objects: tuple[PipelineObject, ...]
    parameter_objects: tuple[ParameterObject, ...] = ()
    parameter_values: tuple[ParameterValue, ...] = ()
