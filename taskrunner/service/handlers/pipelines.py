"""Operations on pipelines as such: make, delete, list, describe, tag, activate, deactivate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from taskrunner.errors import InvalidRequest, PipelineDeleted, PipelineNotFound
from taskrunner.logs import get_logger
from taskrunner.model.document import Definition, Field, ParameterValue
from taskrunner.model.parameters import with_values
from taskrunner.model.times import format_datetime
from taskrunner.model.validate import Finding, Report, validate
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.masking import unmasked_values
from taskrunner.service.pipeline_fields import Value
from taskrunner.service.store.rows import PipelineRow
from taskrunner.wire.inputs import (
    ActivatePipelineInput,
    AddTagsInput,
    CreatePipelineInput,
    DeactivatePipelineInput,
    DeletePipelineInput,
    DescribePipelinesInput,
    ListPipelinesInput,
    RemoveTagsInput,
)
from taskrunner.wire.outputs import (
    ActivatePipelineOutput,
    AddTagsOutput,
    CreatePipelineOutput,
    DeactivatePipelineOutput,
    DescribePipelinesOutput,
    ListPipelinesOutput,
    RemoveTagsOutput,
)
from taskrunner.wire.structures import PipelineDescription, PipelineIdName, Tag

log = get_logger()

#: The form of our pipeline ids, which are also the markers of pages.
_PIPELINE_ID = re.compile(r"df-[A-Z0-9]+")
MOST_DESCRIBED = 25
#: AWS says nothing of how many there are; tests that were written against moto want so many.
PAGE = 50
_MOST_FIELDS_SAID = 20
_MOST_ERRORS_SAID = 5


def create_pipeline(
    service: Service, caller: Caller, request: CreatePipelineInput
) -> CreatePipelineOutput:
    """Make a pipeline; the same name and uniqueId give the same pipeline again."""
    _check_unique(request.tags)
    pipeline_id = service.create_pipeline(
        caller, request.name, request.unique_id, request.description, request.tags
    )
    return CreatePipelineOutput(pipeline_id=pipeline_id)


def delete_pipeline(service: Service, caller: Caller, request: DeletePipelineInput) -> None:
    """Delete a pipeline; one that is deleted already is not found."""
    try:
        service.pipeline(request.pipeline_id, caller)
        service.delete_pipeline(request.pipeline_id)
    except PipelineDeleted as error:
        raise PipelineNotFound(str(error)) from error


def list_pipelines(
    service: Service, caller: Caller, request: ListPipelinesInput
) -> ListPipelinesOutput:
    """A page of the account's pipelines; the marker is the last id of the page before.

    The pipeline that a marker names may have been deleted since. Raises InvalidRequest for a
    marker that no page can have given.
    """
    if request.marker and not _PIPELINE_ID.fullmatch(request.marker):
        raise InvalidRequest("the marker is not one that a ListPipelines gave")
    rows, more = service.pipelines(caller, request.marker or None, PAGE)
    return ListPipelinesOutput(
        pipeline_id_list=tuple(PipelineIdName(id=row.pipeline_id, name=row.name) for row in rows),
        marker=rows[-1].pipeline_id if more else None,
        has_more_results=more,
    )


def describe_pipelines(
    service: Service, caller: Caller, request: DescribePipelinesInput
) -> DescribePipelinesOutput:
    """Descriptions of pipelines, all or an error."""
    if len(request.pipeline_ids) > MOST_DESCRIBED:
        found = len(request.pipeline_ids)
        raise InvalidRequest(f"pipelineIds can have at most {MOST_DESCRIBED} ids, found {found}")
    described = service.describe_pipelines(request.pipeline_ids, caller)
    return DescribePipelinesOutput(
        pipeline_description_list=tuple(_description(row, values) for row, values in described)
    )


def _description(row: PipelineRow, values: Mapping[str, Value]) -> PipelineDescription:
    return PipelineDescription(
        pipeline_id=row.pipeline_id,
        name=row.name,
        description=row.description,
        fields=tuple(
            Field(key, format_datetime(value) if isinstance(value, datetime) else value)
            for key, value in values.items()
            if value is not None
        ),
        tags=tuple(Tag(key, value) for key, value in row.tags),
    )


def add_tags(service: Service, caller: Caller, request: AddTagsInput) -> AddTagsOutput:
    """Add tags, or change their values."""
    _check_unique(request.tags)
    service.pipeline(request.pipeline_id, caller)
    service.set_tags(request.pipeline_id, dict(request.tags))
    return AddTagsOutput()


def remove_tags(service: Service, caller: Caller, request: RemoveTagsInput) -> RemoveTagsOutput:
    """Remove tags; no error for those that are not there."""
    service.pipeline(request.pipeline_id, caller)
    service.remove_tags(request.pipeline_id, request.tag_keys)
    return RemoveTagsOutput()


def _check_unique(tags: Iterable[Tag]) -> None:
    keys = [tag.key for tag in tags]
    if len(set(keys)) < len(keys):
        raise InvalidRequest("tags: a key stands there twice")


def activate_pipeline(
    service: Service, caller: Caller, request: ActivatePipelineInput
) -> ActivatePipelineOutput:
    """Set the definition that was put last going. Refused while it has errors."""
    service.pipeline(request.pipeline_id, caller)
    stored = service.definition(request.pipeline_id)
    checked, report = _checked(request.parameter_values, stored)

    def prepare(latest: Definition) -> Definition:
        # Checking a large definition takes long: nobody waits for it unless this one has changed.
        return checked if latest is stored else _checked(request.parameter_values, latest)[0]

    service.activate(request.pipeline_id, prepare, request.start_timestamp)
    _tell(request.pipeline_id, (*report.warnings, *service.look_at_places(request.pipeline_id)))
    return ActivatePipelineOutput()


def _tell(pipeline_id: str, findings: Iterable[Finding]) -> None:
    """Log what will run nowhere or does nothing.

    The reply has no room for warnings; that to PutPipelineDefinition has them too.
    """
    ignored = []
    for finding in findings:
        if finding.code == "resource-nowhere":
            log.warning(
                "a resource runs nowhere",
                reason=finding.message,
                pipeline_id=pipeline_id,
                component_id=finding.id,
            )
        elif finding.code == "no-effect":
            ignored.append(f"{finding.id}.{finding.field}")
    if ignored:
        more = len(ignored) - _MOST_FIELDS_SAID
        said = ", ".join(ignored[:_MOST_FIELDS_SAID]) + (f" and {more} more" if more > 0 else "")
        log.warning("fields have no effect", fields=said, pipeline_id=pipeline_id)


def _checked(given: Sequence[ParameterValue], stored: Definition) -> tuple[Definition, Report]:
    """The stored definition with the values given. Raises InvalidRequest if it has errors."""
    values = _grouped(unmasked_values(given, stored))
    definition = with_values(stored, values) if values else stored
    report = validate(definition)
    if report.errors:
        said = "; ".join(
            f"{finding.id}: {finding.message}" if finding.id else finding.message
            for finding in report.errors[:_MOST_ERRORS_SAID]
        )
        raise InvalidRequest(
            f"the pipeline's definition cannot run, errors: {len(report.errors)}: {said}"
        )
    return definition, report


def _grouped(values: Iterable[ParameterValue]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for item in values:
        grouped.setdefault(item.id, []).append(item.value)
    return grouped


def deactivate_pipeline(
    service: Service, caller: Caller, request: DeactivatePipelineInput
) -> DeactivatePipelineOutput:
    """Stop a pipeline, canceling what runs unless asked to let it finish."""
    service.pipeline(request.pipeline_id, caller)
    service.deactivate(request.pipeline_id, cancel_active=request.cancel_active)
    return DeactivatePipelineOutput()
