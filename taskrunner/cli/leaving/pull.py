"""`taskrunner pull`: every pipeline of an account, as files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from taskrunner.cli.leaving.account import Account
from taskrunner.cli.leaving.folders import present_folders, write_folder
from taskrunner.cli.operators.options import Asked, command
from taskrunner.cli.operators.tables import Column, show, show_json, text_of
from taskrunner.clock import SystemClock
from taskrunner.errors import CallRefused
from taskrunner.model.leaving.folder_names import folder_names
from taskrunner.model.leaving.manifest import Manifest
from taskrunner.model.leaving.matching import match
from taskrunner.plain import visible

#: The state of a pipeline that was never activated: it has no active version.
_NEVER_ACTIVE = "PENDING"


def _pull(asked: Asked, folder: Path, name: str | None, version: str) -> int:
    account = Account(asked.client().call, SystemClock())
    folders = present_folders(folder)
    all_of_them = list(account.pipelines())
    pairs = match([one.manifest for one in folders], all_of_them).pairs
    gone = [one.name for one, (_, there) in zip(folders, pairs, strict=True) if there is None]
    # The others' names are taken as well: what stands under them is not overwritten.
    present = {
        there.pipeline_id if there else str(one.path): one.name
        for one, (_, there) in zip(folders, pairs, strict=True)
    }
    chosen = [one for one in all_of_them if name is None or name in one.name]
    # Names are given with all of the account in mind, so that --name gives no other ones.
    names = folder_names(all_of_them, present)
    rows = list(_pulled(account, chosen, folder, names, version))
    _tell(asked, rows, gone)
    return 1 if any(row["result"] == "refused" for row in rows) else 0


def _pulled(
    account: Account,
    pipelines: list[Manifest],
    top: Path,
    names: Mapping[str, str],
    version: str,
) -> Iterator[dict[str, Any]]:
    for one in sorted(pipelines, key=lambda one: names[one.pipeline_id]):
        path = top / names[one.pipeline_id]
        row = {
            "folder": path.name,
            "name": one.name,
            "id": one.pipeline_id,
            "state": one.state,
        }
        is_new = not path.exists()
        which = "latest" if one.state == _NEVER_ACTIVE else version
        try:
            definition = account.definition(one.pipeline_id, which)
        except CallRefused as error:
            # The others are pulled all the same; this one is told.
            yield {**row, "result": "refused", "message": str(error)}
            continue
        changed = write_folder(path, one, definition)
        yield {**row, "result": "new" if is_new else "changed" if changed else "unchanged"}


def _tell(asked: Asked, rows: list[dict[str, Any]], gone: list[str]) -> None:
    if asked.as_json:
        show_json({"pipelines": rows, "without_pipeline": gone})
        return
    show(
        [row for row in rows if row["result"] != "unchanged"],
        [
            Column(name="RESULT", cell=text_of("result")),
            Column(name="FOLDER", cell=text_of("folder"), least=16, distinct=True),
            Column(name="STATE", cell=text_of("state"), drop=2),
            Column(name="ID", cell=text_of("id"), drop=1),
        ],
        nothing="nothing has changed" if rows else "the account has no such pipeline",
    )
    for row in rows:
        if "message" in row:
            click.echo(f"error: {visible(row['folder'])}: {visible(row['message'])}", err=True)
    for name in gone:
        said = "the account has no pipeline of it: deleted there, or not applied yet"
        click.echo(f"note: {name}: {said}", err=True)
    counts = Counter(row["result"] for row in rows)
    said = ", ".join(f"{counts[key]} {key}" for key in _RESULTS if counts[key])
    click.echo(f"{len(rows)} pipelines{': ' if said else ''}{said}", err=True)


_RESULTS = ("new", "changed", "unchanged", "refused")

pull = command(
    "pull",
    _pull,
    "Write every pipeline of an account below DIR: a folder each, with its definition in the AWS "
    "CLI's form (pipeline.json) and its name, uniqueId, description, tags, state and id "
    "(manifest.json). Again, only what has changed is written. Exit code 1 when the service "
    "refused some; the others are there.",
    [
        click.Argument(["folder"], metavar="DIR", type=click.Path(file_okay=False, path_type=Path)),
        click.Option(["--name"], metavar="TEXT", help="Only those with this in their names."),
        click.Option(
            ["--version"],
            type=click.Choice(["latest", "active"]),
            default="latest",
            show_default=True,
            help="The definition that was put last, or the one that runs.",
        ),
    ],
)
