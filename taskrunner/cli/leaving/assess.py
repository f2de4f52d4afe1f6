"""`taskrunner assess`: which pulled pipelines run here, and what the others need."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from taskrunner.cli.leaving.folders import Folder, read_folders
from taskrunner.cli.leaving.needed import needed, tell_unused
from taskrunner.cli.leaving.secrets import OPTIONS, Secrets, given_secrets
from taskrunner.cli.operators.tables import Column, show, show_json
from taskrunner.cli.resource_rules import given_rules
from taskrunner.clock import SystemClock
from taskrunner.config.options import FORMAT
from taskrunner.data.databases.validation import know_connections
from taskrunner.errors import DefinitionError
from taskrunner.model.catalog import category_of
from taskrunner.model.catalog.effects import Target
from taskrunner.model.document import Definition
from taskrunner.model.inheritance import effective
from taskrunner.model.instances import Components
from taskrunner.model.leaving.masked import filled, masked_places
from taskrunner.model.leaving.verdicts import Assessment, Verdict, assess
from taskrunner.model.reader import Document
from taskrunner.model.validate import (
    Finding,
    findings_of_places,
    unreadable,
    validate_document,
)
from taskrunner.plain import visible
from taskrunner.plugins.types import know_plugin_types
from taskrunner.service.resources.placing import used_resources, ways_of
from taskrunner.service.resources.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    folder: Folder
    found: Assessment
    #: As its file has it; empty where that cannot be read.
    definition: Definition = field(default_factory=Definition)
    #: The worker groups of which it needs agents.
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    rules: Rules
    secrets: Secrets
    now: datetime


def _assess(
    folder: Path,
    resources: str | None,
    secrets: Path | None,
    secrets_command: str | None,
    form: str,
) -> int:
    know_plugin_types()
    know_connections()
    given = _Given(
        rules=given_rules(resources) if resources is not None else Rules(),
        secrets=given_secrets(secrets, secrets_command, os.environ),
        now=SystemClock().now(),
    )
    rows = [_row(one, given) for one in read_folders(folder)]
    counts = Counter(row.found.verdict for row in rows)
    if form == "json":
        show_json(
            {
                "pipelines": [_json(row) for row in rows],
                "counts": {verdict.value: counts[verdict] for verdict in Verdict},
            }
        )
    else:
        _show(rows)
        tell_unused(given.secrets, ((row.folder, row.definition) for row in rows))
        said = ", ".join(f"{counts[one]} {one}" for one in Verdict if counts[one])
        click.echo(f"{len(rows)} pipelines: {said}", err=True)
    return 0 if counts[Verdict.RUNS] == len(rows) else 1


def _row(folder: Folder, given: _Given) -> _Row:
    try:
        document = folder.document()
    except DefinitionError as error:
        report = unreadable(error)
        return _Row(folder=folder, found=assess(report, masked=(), resources={}, secrets={}))
    need = needed(folder, document.definition, given.secrets, {})
    definition = filled(document.definition, need.given)
    whole = Document(definition=definition, problems=document.problems)
    report = validate_document(whole, now=given.now, target=Target.SELF_HOSTED)
    masked = masked_places(definition)
    found = assess(report, masked=masked, resources={}, secrets=need.missing)
    if found.errors:
        return _Row(folder=folder, found=found, definition=document.definition)
    # Only of a valid definition is it known what runs on what.
    components = Components.of(effective(definition), category_of)
    asked = (components, folder.manifest.name, folder.manifest.tags)
    used = list(used_resources(*asked))
    more = findings_of_places(definition, ways_of(*asked, given.rules))
    found = assess(
        report,
        masked=masked,
        resources={one.id: one.type for one in used if given.rules.first(one) is None},
        secrets=need.missing,
        more=more,
    )
    groups = _groups(components)
    return _Row(folder=folder, found=found, definition=document.definition, groups=groups)


def _groups(components: Components) -> tuple[str, ...]:
    found = {
        text
        for component_id in components.runnable
        if not components.objects[component_id].has("runsOn")
        for text in components.objects[component_id].strings("workerGroup")
    }
    return tuple(sorted(found))


def _show(rows: Sequence[_Row]) -> None:
    show(
        rows,
        [
            Column(name="PIPELINE", cell=lambda row: row.folder.name, least=16, distinct=True),
            Column(name="STATE", cell=lambda row: row.folder.manifest.state, drop=4),
            Column(name="VERDICT", cell=lambda row: str(row.found.verdict)),
            Column(name="RULES FOR", cell=_resources, least=12, drop=1),
            Column(name="SECRETS", cell=lambda row: " ".join(row.found.secrets), least=12, drop=2),
            Column(name="GROUPS", cell=lambda row: " ".join(row.groups), least=8, drop=5),
            Column(name="NOTES", cell=_notes, least=5, drop=6, right=True),
        ],
        nothing="no pipelines",
    )
    for row in rows:
        for finding in row.found.errors:
            click.echo(visible(f"{row.folder.name}: cannot run: {finding} [{finding.code}]"))


def _resources(row: _Row) -> str:
    return " ".join(f"{kind}:{key}" for key, kind in row.found.resources.items())


def _notes(row: _Row) -> str:
    return str(len(row.found.notes) or "")


def _json(row: _Row) -> Mapping[str, Any]:
    def findings(found: Sequence[Finding]) -> list[Any]:
        return [finding.to_json() for finding in found]

    manifest, found = row.folder.manifest, row.found
    return {
        "folder": row.folder.name,
        "name": manifest.name,
        "id": manifest.pipeline_id or None,
        "state": manifest.state or None,
        "verdict": found.verdict.value,
        "errors": findings(found.errors),
        "resources": [{"id": key, "type": kind} for key, kind in found.resources.items()],
        "secrets": [{"place": key, "why": why} for key, why in found.secrets.items()],
        "groups": list(row.groups),
        "notes": findings(found.notes),
    }


command = click.Command(
    "assess",
    callback=_assess,
    help="Say of each pipeline below DIR whether it runs on hosts of your own: as it is; with a "
    "rule for its resources; with secrets that its definition has masks for; or not at all, and "
    "why. With the rules and secrets that there are, what they bring is no longer missing. Exit "
    "code 0 when all run as they are, else 1.",
    params=[
        click.Argument(
            ["folder"],
            metavar="DIR",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
        ),
        click.Option(
            ["--resources"],
            metavar="WHERE|FILE",
            help="The rules of the service (`taskrunner serve --resources`).",
        ),
        *OPTIONS,
        FORMAT,
    ],
    context_settings={"max_content_width": 100},
)
