"""`taskrunner apply`: have a service hold what files say; the plan first."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from taskrunner.cli.leaving.account import Account
from taskrunner.cli.leaving.beside import Beside, look
from taskrunner.cli.leaving.carry_out import Result, carry_out
from taskrunner.cli.leaving.folders import read_folders
from taskrunner.cli.leaving.needed import needed, tell_unused
from taskrunner.cli.leaving.secrets import OPTIONS, Secrets, given_secrets
from taskrunner.cli.operators.options import MOMENT, Asked, command
from taskrunner.cli.operators.tables import show_json
from taskrunner.clock import SystemClock
from taskrunner.errors import DefinitionError, UsageError
from taskrunner.model.document import Definition
from taskrunner.model.leaving.masked import filled, masked_places
from taskrunner.model.leaving.plan import Difference, Plan, Step, Wishes, plan
from taskrunner.plain import visible
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.wire.client import Client

_AWS = (".amazonaws.com", ".amazonaws.com.cn")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    beside: Beside
    plan: Plan
    #: With its secrets.
    definition: Definition


def _apply(
    asked: Asked,
    folder: Path,
    yes: bool,
    dry_run: bool,
    start: str | None,
    secrets: Path | None,
    secrets_command: str | None,
    **wishes: bool,
) -> int:
    if asked.as_json and not (yes or dry_run):
        raise UsageError("--format json asks nothing: wanted --yes or --dry-run with it")
    if start is not None and not wishes["activate"]:
        raise UsageError("--start is for --activate")
    given = given_secrets(secrets, secrets_command, os.environ)
    client = asked.client()
    account = Account(client.call, SystemClock())
    found, _ = look(read_folders(folder), account)
    planned = _plans(found, Wishes(**wishes), given, keeps_masks=not _is_aws(client))
    todo = [one for one in planned if one.plan.steps]
    if not asked.as_json:
        _show_plan(planned)
        tell_unused(given, ((one.folder, one.wanted) for one in found))
    if dry_run or not todo:
        if asked.as_json:
            show_json(_document(planned, {}))
        return 0
    if not yes:
        click.confirm(f"Do this at {client.endpoint}?", abort=True, err=True)
    moment = datetime.fromisoformat(start) if start else None
    results: dict[str, Result] = {}
    for one in todo:
        result = carry_out(account, one.beside, one.plan, one.definition, moment)
        results[one.beside.folder.name] = result
        if not asked.as_json:
            _show_result(one, result)
    return _end(asked, planned, results)


def _is_aws(client: Client) -> bool:
    return client.endpoint.host.endswith(_AWS)


def _plans(
    found: Sequence[Beside], wishes: Wishes, secrets: Secrets, *, keeps_masks: bool
) -> list[_Planned]:
    """A plan for each pipeline. Raises UsageError that lists every secret that is missing."""
    planned, lacking = [], []
    for one in found:
        steps = plan(_difference(one), wishes)
        definition = one.wanted
        if Step.PUT in steps.steps:
            # Of AWS's service nobody says that a mask leaves the secret in its place.
            kept = masked_places(one.shown) if keeps_masks else {}
            need = needed(one.folder, definition, secrets, kept)
            lacking += [f"{one.folder.name}: {key}: {why}" for key, why in need.missing.items()]
            definition = filled(definition, need.given)
        planned.append(_Planned(beside=one, plan=steps, definition=definition))
    if lacking:
        told = "".join(f"\n  {visible(line)}" for line in lacking)
        raise UsageError(
            f"{len(lacking)} {'secrets are' if len(lacking) > 1 else 'secret is'} missing, and "
            f"nothing was done: wanted in the file of --secrets:{told}"
        )
    return planned


def _difference(one: Beside) -> Difference:
    return Difference(
        wanted=one.folder.manifest,
        there=one.there,
        is_defined=bool(one.wanted.objects),
        on_demand=_on_demand(one.wanted),
        definition=one.changes,
        tags=one.tag_changes,
        fixed=one.fixed_changes,
    )


def _on_demand(definition: Definition) -> bool:
    try:
        return LoadedDefinition(definition).on_demand
    except DefinitionError:  # the service says what is wrong, and takes no activation
        return False


# -- what is shown ------------------------------------------------------------------------------


def _show_plan(planned: Sequence[_Planned]) -> None:
    for one in planned:
        steps, name = one.plan, visible(one.beside.folder.name)
        if steps.steps:
            click.echo(f"{steps.sign} {name}: {', '.join(steps.steps)}")
        if one.beside.there is not None:
            for change in (*one.beside.tag_changes, *one.beside.changes):
                click.echo(f"    {visible(str(change))}")
        for note in steps.notes:
            click.echo(f"note: {name}: {visible(note)}", err=True)
    counts = Counter(one.plan.sign for one in planned)
    click.echo(
        f"{counts['+']} to create, {counts['~']} to change, {counts['=']} unchanged", err=True
    )


def _show_result(one: _Planned, result: Result) -> None:
    name = visible(one.beside.folder.name)
    if result.done:
        click.echo(f"{name}: {', '.join(result.done)}: done")
    for problem in result.problems:
        click.echo(f"error: {name}: {visible(problem)}", err=True)


def _end(asked: Asked, planned: Sequence[_Planned], results: Mapping[str, Result]) -> int:
    failed = [name for name, result in results.items() if result.problems]
    if asked.as_json:
        show_json(_document(planned, results))
    else:
        done = len(results) - len(failed)
        click.echo(f"{done} done, {len(failed)} failed", err=True)
    return 1 if failed else 0


def _document(planned: Sequence[_Planned], results: Mapping[str, Result]) -> dict[str, Any]:
    return {"pipelines": [_row(one, results.get(one.beside.folder.name)) for one in planned]}


def _row(one: _Planned, result: Result | None) -> dict[str, Any]:
    there = one.beside.there
    changes = (*one.beside.tag_changes, *one.beside.changes) if there else ()
    row = {
        "folder": one.beside.folder.name,
        "name": one.beside.folder.manifest.name,
        "id": there.pipeline_id if there else None,
        "steps": list(one.plan.steps),
        "changes": [change.to_json() for change in changes],
        "notes": list(one.plan.notes),
    }
    if result is not None:
        row["id"] = result.pipeline_id or row["id"]
        row |= {"done": list(result.done), "problems": list(result.problems)}
    return row


apply = command(
    "apply",
    _apply,
    "Have a service hold the pipelines below DIR: make those that it has not, put definitions and "
    "tags that differ, and with --activate set going what was going where it comes from. The plan "
    "is shown first; done again, it has nothing to do. Pipelines without a folder are left as they "
    "are. Nothing is done while a secret is missing. Exit code 1 when something failed; what can "
    "be done is.",
    [
        click.Option(
            ["-f", "--folder", "folder"],
            metavar="DIR",
            required=True,
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Folders of pipelines, or one of them.",
        ),
        click.Option(["--yes"], is_flag=True, help="Do not ask."),
        click.Option(["--dry-run"], is_flag=True, help="Show the plan, and end."),
        click.Option(
            ["--activate"],
            is_flag=True,
            help="Activate what was active where it comes from, but for what runs on demand.",
        ),
        click.Option(
            ["--start"],
            type=MOMENT,
            metavar="MOMENT",
            help="With --activate: skip the periods that start before this.",
        ),
        click.Option(
            ["--put-all"],
            is_flag=True,
            help="Put definitions that look the same too: a secret has changed.",
        ),
        *OPTIONS,
    ],
)
