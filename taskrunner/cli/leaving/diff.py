"""`taskrunner diff`: what differs between files and a service."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from taskrunner.cli.leaving.account import Account
from taskrunner.cli.leaving.beside import Beside, look
from taskrunner.cli.leaving.folders import DEFINITION, MANIFEST, read_folders
from taskrunner.cli.operators.options import Asked, command
from taskrunner.cli.operators.tables import show_json
from taskrunner.clock import SystemClock
from taskrunner.errors import TaskrunnerError
from taskrunner.model.leaving.manifest import Manifest, write_manifest
from taskrunner.model.writer import dumps_cli
from taskrunner.plain import visible

_SAME, _DIFFERS, _TROUBLE = 0, 1, 2


def _diff(asked: Asked, folder: Path) -> int:
    try:
        account = Account(asked.client().call, SystemClock())
        folders = read_folders(folder)
        found, rest = look(folders, account)
    except TaskrunnerError as error:
        # 1 is kept for what differs, as diff(1) has it.
        click.echo(f"taskrunner: {error}", err=True)
        return _TROUBLE
    if folders[0].path == folder:
        rest = ()  # one pipeline's folder is not meant to have them all
    differing = [one for one in found if one.differs]
    if asked.as_json:
        show_json(
            {
                "pipelines": [_row(one) for one in differing],
                "only_in_service": [{"id": one.pipeline_id, "name": one.name} for one in rest],
            }
        )
    else:
        _show(differing, rest)
        same = len(found) - len(differing)
        click.echo(
            f"{len(differing)} differ, {same} are the same; only in the service: {len(rest)}",
            err=True,
        )
    return _DIFFERS if differing or rest else _SAME


def _row(one: Beside) -> dict[str, Any]:
    changes = (*one.fixed_changes, *one.tag_changes, *one.changes) if one.there else ()
    return {
        "folder": one.folder.name,
        "name": one.folder.manifest.name,
        "id": one.there.pipeline_id if one.there else None,
        "only_in_files": one.there is None,
        "changes": [change.to_json() for change in changes],
    }


def _show(differing: Sequence[Beside], rest: Sequence[Manifest]) -> None:
    for one in differing:
        if one.there is None:
            click.echo(f"only in the files: {one.folder.name}")
            continue
        for line in _lines(one, one.there):
            click.echo(visible(line))
    for manifest in rest:
        click.echo(f"only in the service: {visible(manifest.name)} ({manifest.pipeline_id})")


def _lines(one: Beside, there: Manifest) -> Iterator[str]:
    """A unified diff, from the service's to the files': what `apply` would change."""
    pairs = {
        MANIFEST: (_comparable(there), _comparable(one.folder.manifest)),
        DEFINITION: (dumps_cli(one.shown), dumps_cli(one.shown_wanted)),
    }
    for name, (before, after) in pairs.items():
        yield from difflib.unified_diff(
            before.splitlines(),
            after.splitlines(),
            f"service/{one.folder.name}/{name}",
            f"files/{one.folder.name}/{name}",
            lineterm="",
        )


def _comparable(manifest: Manifest) -> str:
    """What of a manifest is the pipeline's own, and not of where it was."""
    return write_manifest(
        Manifest(
            name=manifest.name, description=manifest.description or None, tags=manifest.own_tags
        )
    )


diff = command(
    "diff",
    _diff,
    "What differs between the pipelines below DIR and those of a service: definitions (secrets "
    "masked on both sides), tags, descriptions, and what only one of them has. Exit code 0: "
    "nothing; 1: something; 2: it cannot be told.",
    [
        click.Argument(
            ["folder"],
            metavar="DIR",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
        ),
    ],
)
