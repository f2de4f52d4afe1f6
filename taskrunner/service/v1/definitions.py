"""Definitions and their versions."""

from __future__ import annotations

from collections.abc import Iterator

from taskrunner.errors import InvalidRequest
from taskrunner.model.validate import Finding as FoundMistake
from taskrunner.model.writer import to_cli
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.resources.placing import look_at_places
from taskrunner.service.store import summaries
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.v1.definition_shapes import Definition, DefinitionVersion, Finding, Severity
from taskrunner.service.v1.faults import NotFound
from taskrunner.service.v1.requests import ShowDefinition


def show_definition(service: Service, caller: Caller, request: ShowDefinition) -> Definition:
    """A version of a definition, with the versions that are kept."""
    row = service.pipeline(request.pipeline_id, caller)
    with service.store.read() as conn:
        versions = summaries.definition_versions(conn, row.pipeline_id)
    named = {"latest": row.latest_version, "active": row.active_version}
    wanted = request.version
    if wanted not in named and not (wanted.isascii() and wanted.isdecimal()):
        raise InvalidRequest(f"version: wanted latest, active or a number, found {wanted!r}")
    number = named.get(wanted) if wanted in named else int(wanted[:9])
    if number not in {version for version, _ in versions}:
        kept = ", ".join(str(version) for version, _ in versions[:20]) or "none"
        raise NotFound(f"pipeline {row.pipeline_id} has no version {wanted}: kept are {kept}")
    loaded = service.loaded(row.pipeline_id, number)
    return Definition(
        version=number,
        definition=to_cli(loaded.for_eyes.definition),
        versions=tuple(
            DefinitionVersion(version=version, put=put, active=version == row.active_version)
            for version, put in versions
        ),
        findings=tuple(_findings(service, row, number)),
    )


def _findings(service: Service, row: PipelineRow, number: int) -> Iterator[Finding]:
    """What is wrong in a version; of one that is yet to be activated, also beside the active."""
    loaded = service.loaded(row.pipeline_id, number)
    is_draft = number == row.latest_version and number != row.active_version
    yield from (_finding(Severity.ERROR, found) for found in loaded.report.errors)
    if is_draft:
        for edit in service.forbidden_edits(row.pipeline_id, loaded.definition):
            yield Finding(
                severity=Severity.ERROR,
                code="forbidden-edit",
                message=edit.message,
                id=edit.object_id,
                field=edit.field,
            )
    yield from (_finding(Severity.WARNING, found) for found in loaded.report.warnings)
    if not loaded.report.errors:
        # Where resources run is said of what can run.
        places = look_at_places(row, loaded, service.settings.resources)
        yield from (_finding(Severity.WARNING, found) for found in places)


def _finding(severity: Severity, found: FoundMistake) -> Finding:
    return Finding(
        severity=severity, code=found.code, message=found.message, id=found.id, field=found.field
    )
