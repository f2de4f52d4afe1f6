"""Operations on definitions: put, validate, get."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from taskrunner.errors import InvalidRequest
from taskrunner.model.document import Definition, Ref
from taskrunner.model.edits import Edit
from taskrunner.model.validate import Finding, Report, validate
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.masking import mask, unmask
from taskrunner.wire.inputs import (
    GetPipelineDefinitionInput,
    PutPipelineDefinitionInput,
    ValidatePipelineDefinitionInput,
)
from taskrunner.wire.outputs import (
    GetPipelineDefinitionOutput,
    PutPipelineDefinitionOutput,
    ValidatePipelineDefinitionOutput,
)
from taskrunner.wire.structures import ValidationError, ValidationWarning

_VERSIONS = ("latest", "active")


def put_pipeline_definition(
    service: Service, caller: Caller, request: PutPipelineDefinitionInput
) -> PutPipelineDefinitionOutput:
    """Replace a definition; one with errors is stored too, but cannot be activated."""
    service.pipeline(request.pipeline_id, caller)
    version = service.change_definition(
        request.pipeline_id, partial(filled, given_definition(request))
    )
    definition = service.loaded(request.pipeline_id, version).definition
    report = _report(service, request.pipeline_id, definition)
    return PutPipelineDefinitionOutput(
        errored=bool(report.errors),
        validation_errors=_errors(report),
        validation_warnings=_warnings(report),
    )


def validate_pipeline_definition(
    service: Service, caller: Caller, request: ValidatePipelineDefinitionInput
) -> ValidatePipelineDefinitionOutput:
    """Say what is wrong with a definition, without storing it.

    Masks stay masks: whoever may validate may not be told how a secret compares to a guess.
    """
    stored = _stored(service, caller, request.pipeline_id)
    shown = mask(stored) if stored else None
    report = _report(service, request.pipeline_id, filled(given_definition(request), shown))
    return ValidatePipelineDefinitionOutput(
        errored=bool(report.errors),
        validation_errors=_errors(report),
        validation_warnings=_warnings(report),
    )


def get_pipeline_definition(
    service: Service, caller: Caller, request: GetPipelineDefinitionInput
) -> GetPipelineDefinitionOutput:
    """The definition that was put last, or the active one; secrets are masked."""
    version = request.version or "latest"
    if version not in _VERSIONS:
        raise InvalidRequest(f"version: wanted latest or active, found {version!r}")
    shown = mask(_stored(service, caller, request.pipeline_id, version) or Definition())
    return GetPipelineDefinitionOutput(
        pipeline_objects=shown.objects,
        parameter_objects=shown.parameters,
        parameter_values=shown.values,
    )


def _report(service: Service, pipeline_id: str, definition: Definition) -> Report:
    """What is wrong with a definition, for this pipeline and where the operator has it run."""
    report = validate(definition)
    edits = tuple(map(_forbidden, service.forbidden_edits(pipeline_id, definition)))
    report = replace(report, errors=(*report.errors, *edits))
    if report.errors:
        return report
    places = service.look_at_places(pipeline_id, definition)
    return replace(report, warnings=(*report.warnings, *places))


def _forbidden(edit: Edit) -> Finding:
    return Finding(
        id=edit.object_id,
        field=edit.field,
        code="forbidden-edit",
        message=edit.message,
        line=None,
        column=None,
    )


def _stored(
    service: Service, caller: Caller, pipeline_id: str, version: str = "latest"
) -> Definition | None:
    row = service.pipeline(pipeline_id, caller)
    number = row.active_version if version == "active" else row.latest_version
    return service.definition(pipeline_id, version) if number else None


def given_definition(
    request: PutPipelineDefinitionInput | ValidatePipelineDefinitionInput,
) -> Definition:
    """The definition of a request. Raises InvalidRequest where a field is empty."""
    definition = Definition(
        objects=request.pipeline_objects,
        parameters=request.parameter_objects,
        values=request.parameter_values,
    )
    _refuse_unusable(definition)
    return definition


def filled(definition: Definition, stored: Definition | None) -> Definition:
    """The definition with the stored secrets in place of their masks."""
    return replace(unmask(definition, stored), source=None)


def _refuse_unusable(definition: Definition) -> None:
    for item in definition.objects:
        for field in item.fields:
            if field.key in {"id", "name"}:
                raise InvalidRequest(
                    f"object {item.id!r}: {field.key} stands among the fields too; "
                    "wanted it beside them only"
                )
            text = field.value.id if isinstance(field.value, Ref) else field.value
            if not text:
                raise InvalidRequest(
                    f"object {item.id!r}: the field {field.key!r} is empty; leave it out instead"
                )


def _errors(report: Report) -> tuple[ValidationError, ...]:
    grouped = _by_object(report.errors)
    return tuple(ValidationError(id=key, errors=texts) for key, texts in grouped)


def _warnings(report: Report) -> tuple[ValidationWarning, ...]:
    grouped = _by_object(report.warnings)
    return tuple(ValidationWarning(id=key, warnings=texts) for key, texts in grouped)


def _by_object(findings: Iterable[Finding]) -> list[tuple[str | None, tuple[str, ...]]]:
    """Messages by object, in the order of the findings."""
    grouped: dict[str | None, list[str]] = {}
    for finding in findings:
        grouped.setdefault(finding.id or None, []).append(_message(finding))
    return [(key, tuple(texts)) for key, texts in grouped.items()]


def _message(finding: Finding) -> str:
    return f"{finding.field}: {finding.message}" if finding.field else finding.message
