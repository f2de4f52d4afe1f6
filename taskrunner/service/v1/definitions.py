"""Definitions and their versions."""

from __future__ import annotations

from taskrunner.errors import InvalidRequest
from taskrunner.model.writer import to_cli
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.store import summaries
from taskrunner.service.v1.faults import NotFound
from taskrunner.service.v1.requests import ShowDefinition
from taskrunner.service.v1.shapes import Definition, DefinitionVersion


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
    shown = service.loaded(row.pipeline_id, number).for_eyes.definition
    return Definition(
        version=number,
        definition=to_cli(shown),
        versions=tuple(
            DefinitionVersion(version=version, put=put, active=version == row.active_version)
            for version, put in versions
        ),
    )
