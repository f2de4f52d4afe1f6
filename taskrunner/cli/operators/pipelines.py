"""`taskrunner pipelines`: list, show, put, activate, pause, resume, deactivate, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from taskrunner.cli.operators.options import (
    MOMENT,
    Asked,
    command,
    group,
    pipeline_argument,
    pipeline_filters,
)
from taskrunner.cli.operators.service import Service
from taskrunner.cli.operators.tables import (
    Column,
    counted,
    lines_of,
    show,
    show_json,
    strip,
    text_of,
    when,
)
from taskrunner.cli.operators.waiting import WAIT, wait_for_run
from taskrunner.errors import TaskrunnerError, UsageError
from taskrunner.model.leaving.manifest import unique_id_for
from taskrunner.plain import visible

_RUNS = 14


def _list(asked: Asked, **filters: Any) -> None:
    service = asked.connect()
    wanted = {key: value for key, value in filters.items() if value not in (None, (), False)}
    if not service.is_ours:
        for option in ("group", "late"):
            if option in wanted:
                service.ours(f"--{option}")
    rows = service.pipelines({"runs": _RUNS, **wanted})
    if asked.as_json:
        show_json({"pipelines": rows})
        return
    now = service.now
    show(
        rows,
        [
            Column(name="NAME", cell=text_of("name"), least=16, distinct=True),
            Column(name="ID", cell=text_of("id")),
            Column(name="STATE", cell=text_of("state")),
            Column(name="HEALTH", cell=text_of("health")),
            Column(name="RUNS", cell=lambda row: strip(row.get("runs", ())), drop=3),
            Column(name="NOW", cell=_now, least=12, drop=2),
            Column(name="NEXT", cell=lambda row: when(row.get("next_run"), now), drop=4),
            Column(name="LAST END", cell=lambda row: when(row.get("last_end"), now), drop=5),
            Column(name="LATE", cell=lambda row: str(row.get("late") or ""), drop=6, right=True),
            Column(name="GROUPS", cell=lambda row: " ".join(row.get("groups", ())), drop=7),
            Column(name="TAGS", cell=_tags, least=8, drop=8),
        ],
        nothing="no pipeline" + (" meets the filters" if wanted else " yet"),
    )


def _now(row: Mapping[str, Any]) -> str:
    return counted(row.get("counts", {}), row.get("at_least", ()))


def _tags(row: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in row.get("tags", {}).items())


def _show(asked: Asked, pipeline: str) -> None:
    service = asked.connect()
    found = service.pipeline(service.pipeline_id(pipeline))
    if asked.as_json:
        show_json(found)
        return
    row, now = found["summary"], service.now
    pauses = found.get("pauses", ())
    lines_of(
        [
            ("name", row["name"]),
            ("id", row["id"]),
            ("description", found.get("description")),
            ("state", row.get("state")),
            ("health", row.get("health")),
            ("now", _now(row)),
            ("last runs", strip(row.get("runs", ()))),
            ("last end", when(row.get("last_end"), now)),
            ("next run", when(row.get("next_run"), now)),
            ("schedule", _schedule(found)),
            ("activated", when(found.get("first_activated"), now)),
            ("deactivated", when(found.get("last_deactivated"), now)),
            ("versions", _versions(found)),
            ("groups", " ".join(row.get("groups", ()))),
            ("tags", _tags(row)),
            ("owner", row.get("owner")),
            *(
                ("paused", f"{one['object_id']} by {one['by']} since {when(one['since'], now)}")
                for one in pauses
            ),
        ]
    )


def _schedule(found: Mapping[str, Any]) -> str | None:
    if found.get("on_demand"):
        return "on demand"
    start = found.get("schedule_start")
    return f"{start} to {found.get('schedule_end', '(no end)')}" if start else None


def _versions(found: Mapping[str, Any]) -> str | None:
    if "latest_version" not in found:
        return None
    return f"{found['latest_version']} put, {found['active_version'] or 'none'} active"


def _put(
    asked: Asked,
    file: Path,
    pipeline: str | None,
    name: str | None,
    tag: Sequence[str],
    parameter: Sequence[str],
) -> int:
    from taskrunner.model.document import ParameterValue
    from taskrunner.model.reader import read_definition

    definition = read_definition(file.read_text(encoding="utf-8"), source=str(file))
    if parameter:
        from dataclasses import replace

        given = _values(parameter)
        kept = [value for value in definition.values if value.id not in given]
        new = [ParameterValue(id=key, value=text) for key, some in given.items() for text in some]
        definition = replace(definition, values=(*kept, *new))
    service = asked.connect()
    pipeline_id = _target(service, file, pipeline, name, tag)
    reply = service.operations.put(pipeline_id, definition)
    errors = [(one.id, text) for one in reply.validation_errors for text in one.errors]
    warnings = [(one.id, text) for one in reply.validation_warnings for text in one.warnings]
    if asked.as_json:
        show_json(
            {
                "id": pipeline_id,
                "errored": reply.errored,
                "errors": [{"object_id": key, "message": text} for key, text in errors],
                "warnings": [{"object_id": key, "message": text} for key, text in warnings],
            }
        )
    else:
        for kind, findings in (("error", errors), ("warning", warnings)):
            for key, text in findings:
                click.echo(f"{kind}: {visible(f'{key}: {text}' if key else text)}", err=True)
        click.echo(pipeline_id)
    return 1 if reply.errored else 0


def _target(
    service: Service, file: Path, pipeline: str | None, name: str | None, tag: Sequence[str]
) -> str:
    """The pipeline that a definition is put into: one that is there, or a new one."""
    if pipeline is not None:
        if name is not None or tag:
            raise UsageError("--name and --tag are for a new pipeline: wanted them, or --pipeline")
        return service.pipeline_id(pipeline)
    name = name or (file.parent.name if file.stem == "pipeline" else file.stem) or file.stem
    tags = {}
    for text in tag:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"--tag: found {text!r}, wanted KEY=VALUE")
        tags[key] = value
    # The same name is the same pipeline, however often it is put.
    return service.operations.create(name, unique_id_for(name), tags)


def _values(given: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"--parameter: found {text!r}, wanted ID=VALUE")
        found.setdefault(key, []).append(value)
    return found


def _activate(
    asked: Asked,
    pipeline: str,
    parameter: Sequence[str],
    start: str | None,
    wait: bool,
    timeout: float | None,
) -> int:
    service = asked.connect()
    pipeline_id = service.pipeline_id(pipeline)
    before = _newest(service, pipeline_id) if wait else None
    moment = datetime.fromisoformat(start) if start else None
    service.activate(pipeline_id, _values(parameter), moment)
    if not wait:
        _done(asked, service, pipeline_id, "activated")
        return 0
    newest = _new_run(service, pipeline_id, before)
    code = wait_for_run(service, pipeline_id, newest, timeout)
    _done(asked, service, pipeline_id, f"run {newest} is over" if code != 124 else "activated")
    return code


def _newest(service: Service, pipeline_id: str) -> str:
    runs = service.runs(pipeline_id, 1)
    return str(runs[0]["start"]) if runs else ""


def _new_run(service: Service, pipeline_id: str, before: str | None) -> str:
    """The start of the run that an activation has made."""
    import threading

    for _ in range(_LOOKS_FOR_RUN):
        newest = _newest(service, pipeline_id)
        if newest > (before or ""):
            return newest
        service.clock.wait(threading.Event(), 1.0)
    raise TaskrunnerError(
        "activated, but no run has begun: --wait is for pipelines on demand, or such as have a "
        "period that begins now"
    )


_LOOKS_FOR_RUN = 15


def _pause(asked: Asked, pipeline: str, object_ids: Sequence[str]) -> None:
    _hold(asked, pipeline, object_ids, "PAUSE", "paused")


def _resume(asked: Asked, pipeline: str, object_ids: Sequence[str]) -> None:
    _hold(asked, pipeline, object_ids, "RESUME", "resumed")


def _hold(asked: Asked, pipeline: str, ids: Sequence[str], word: str, done: str) -> None:
    service = asked.connect()
    pipeline_id = service.pipeline_id(pipeline)
    if not ids and not service.is_ours:
        service.ours(f"to {word.lower()} a whole pipeline, without --object COMPONENT,")
    service.operations.set_status(pipeline_id, ids or [pipeline_id], word)
    _done(asked, service, pipeline_id, done)


def _deactivate(asked: Asked, pipeline: str, let_finish: bool) -> None:
    service = asked.connect()
    pipeline_id = service.pipeline_id(pipeline)
    service.operations.deactivate(pipeline_id, cancel_active=not let_finish)
    _done(asked, service, pipeline_id, "deactivated")


def _delete(asked: Asked, pipeline: str, yes: bool) -> None:
    service = asked.connect()
    pipeline_id = service.pipeline_id(pipeline)
    if not yes:
        row = service.pipeline(pipeline_id)["summary"]
        click.confirm(
            f"Delete {visible(row['name'])} ({pipeline_id}) with all that is known of its runs?",
            abort=True,
            err=True,
        )
    service.operations.delete(pipeline_id)
    if asked.as_json:
        show_json({"id": pipeline_id, "deleted": True})
    else:
        click.echo(f"{pipeline_id} deleted")


def _done(asked: Asked, service: Service, pipeline_id: str, what: str) -> None:
    if asked.as_json:
        show_json(service.pipeline(pipeline_id)["summary"])
    else:
        click.echo(f"{pipeline_id} {what}")


_PARAMETER = click.Option(
    ["--parameter", "-p"],
    multiple=True,
    metavar="ID=VALUE",
    help="A value of a parameter (repeatable).",
)
_OBJECT = click.Option(
    ["--object", "object_ids"],
    multiple=True,
    metavar="ID",
    help="A component or an instance in place of the whole pipeline (repeatable).",
)

pipelines = group(
    "pipelines",
    "Pipelines of a service: see them, put definitions, set them going, hold and stop them. A "
    "pipeline is named by its id or its name.",
    [
        command(
            "list",
            _list,
            "Pipelines, those that are broken first.",
            pipeline_filters(),
        ),
        command("show", _show, "One pipeline.", [pipeline_argument()]),
        command(
            "put",
            _put,
            "Put a definition into a pipeline, which is made if there is none of its name; prints "
            "the pipeline's id. Exit code 1 when the definition has errors; it is stored all the "
            "same, and cannot be activated.",
            [
                click.Argument(
                    ["file"], type=click.Path(exists=True, dir_okay=False, path_type=Path)
                ),
                click.Option(["--pipeline"], metavar="PIPELINE", help="The one to put it into."),
                click.Option(["--name"], metavar="NAME", help="Its name, if not that of the file."),
                click.Option(["--tag"], multiple=True, metavar="KEY=VALUE", help="For a new one."),
                _PARAMETER,
            ],
        ),
        command(
            "activate",
            _activate,
            "Set the definition that was put last going; on demand, each time is another run.",
            [
                pipeline_argument(),
                _PARAMETER,
                click.Option(
                    ["--start"],
                    type=MOMENT,
                    metavar="MOMENT",
                    help="Skip the periods that start before this.",
                ),
                *WAIT,
            ],
        ),
        command(
            "pause",
            _pause,
            "Let nothing new of a pipeline begin; what runs goes on.",
            [pipeline_argument(), _OBJECT],
        ),
        command("resume", _resume, "Let a pipeline go on.", [pipeline_argument(), _OBJECT]),
        command(
            "deactivate",
            _deactivate,
            "Stop a pipeline, and cancel what runs.",
            [
                pipeline_argument(),
                click.Option(["--let-finish"], is_flag=True, help="Let what runs come to its end."),
            ],
        ),
        command(
            "delete",
            _delete,
            "Delete a pipeline.",
            [pipeline_argument(), click.Option(["--yes"], is_flag=True, help="Do not ask.")],
        ),
    ],
)
