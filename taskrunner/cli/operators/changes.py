"""`taskrunner rerun`, `cancel` and `finish`: instances changed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from taskrunner.cli.operators.options import MOMENT, Asked, command, pipeline_argument
from taskrunner.cli.operators.tables import Column, show, show_json, text_of
from taskrunner.cli.operators.waiting import WAIT, wait_for_instances

_DONE = {"rerun": "begin again", "cancel": "canceled", "finish": "taken for finished"}


def _body(
    instance: Sequence[str],
    run: str | None,
    first: str | None,
    last: str | None,
    component: Sequence[str],
    status: Sequence[str],
) -> dict[str, Any]:
    found = {
        "ids": list(instance),
        "run": run,
        "first": first,
        "last": last,
        "component": list(component),
        "status": [one.upper() for one in status],
    }
    return {key: value for key, value in found.items() if value}


def _change(asked: Asked, pipeline: str, action: str, body: Mapping[str, Any]) -> Any:
    service = asked.connect()
    pipeline_id = service.pipeline_id(pipeline)
    found = service.change(pipeline_id, action, body)
    if asked.as_json:
        show_json(found)
    else:
        _tell(found, action)
    return service, pipeline_id, found


def _tell(found: Mapping[str, Any], action: str) -> None:
    show(
        found["instances"],
        [
            Column(name="INSTANCE", cell=text_of("id"), least=30, distinct=True),
            Column(name="WAS", cell=text_of("was")),
            Column(name="WHY", cell=text_of("reason"), drop=1),
        ],
        nothing="there is nothing to do",
    )
    would = "would be " if found["dry_run"] and action != "rerun" else ""
    would = "would " if found["dry_run"] and action == "rerun" else would
    left = f"; {found['unchanged']} are left as they are" if found["unchanged"] else ""
    more = found["count"] - len(found["instances"])
    and_more = f" ({more} of them not shown)" if more else ""
    click.echo(f"{found['count']} instances {would}{_DONE[action]}{and_more}{left}", err=True)


def _rerun(
    asked: Asked,
    pipeline: str,
    instance: Sequence[str],
    downstream: bool,
    dry_run: bool,
    wait: bool,
    timeout: float | None,
    **selection: Any,
) -> int:
    body = {**_body(instance, **selection), "downstream": downstream, "dry_run": dry_run}
    service, pipeline_id, found = _change(asked, pipeline, "rerun", body)
    ids = [one["id"] for one in found["instances"]]
    if not wait or dry_run or not ids:
        return 0
    return wait_for_instances(service, pipeline_id, ids, timeout)


def _cancel(
    asked: Asked, pipeline: str, instance: Sequence[str], dry_run: bool, **selection: Any
) -> None:
    _change(asked, pipeline, "cancel", {**_body(instance, **selection), "dry_run": dry_run})


def _finish(
    asked: Asked, pipeline: str, instance: Sequence[str], dry_run: bool, **selection: Any
) -> None:
    _change(asked, pipeline, "finish", {**_body(instance, **selection), "dry_run": dry_run})


_SELECTION: tuple[click.Parameter, ...] = (
    pipeline_argument(),
    click.Argument(["instance"], nargs=-1),
    click.Option(["--run"], type=MOMENT, metavar="MOMENT", help="Of the run that starts then."),
    click.Option(["--first"], type=MOMENT, metavar="MOMENT", help="Of runs from then on."),
    click.Option(["--last"], type=MOMENT, metavar="MOMENT", help="Of runs up to then."),
    click.Option(["--component"], multiple=True, metavar="ID", help="Of it (repeatable)."),
    click.Option(["--status"], multiple=True, metavar="STATUS", help="With it (repeatable)."),
)
_DRY = click.Option(["--dry-run"], is_flag=True, help="List what would be done, and do nothing.")

rerun = command(
    "rerun",
    _rerun,
    "Begin ended instances again: those that are named, or of a selection those that did not end "
    "well unless --status says otherwise.",
    [
        *_SELECTION,
        click.Option(
            ["--downstream"], is_flag=True, help="With all that depends on them, however it ended."
        ),
        _DRY,
        *WAIT,
    ],
)
cancel = command("cancel", _cancel, "End instances that have not ended.", [*_SELECTION, _DRY])
finish = command(
    "finish",
    _finish,
    "Take instances for finished, so that what waits for them goes on.",
    [*_SELECTION, _DRY],
)
