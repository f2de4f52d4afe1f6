"""`taskrunner alarms`: what became of a service's alarms, and those that nobody got once more."""

from __future__ import annotations

import json
from typing import Any

import click

from taskrunner.cli.keys import FORMAT_OPTION, of_store, opened
from taskrunner.errors import UsageError
from taskrunner.model.states import AlarmStatus
from taskrunner.model.times import format_datetime
from taskrunner.plain import aligned
from taskrunner.service.store.rows import AlarmRow

#: What is listed unless asked otherwise: what was given up, and what still waits.
_NOT_SENT = (AlarmStatus.FAILED, AlarmStatus.PENDING)


@click.group(context_settings={"max_content_width": 100, "show_default": True})
def command() -> None:
    """Alarms of a service: what became of them.

    Run it on a host that can open the store, as a user who may: of SQLite the service's own. The
    service may run meanwhile.
    """


@command.command("list")
@of_store
@click.option("--all", "everything", is_flag=True, help="Those that were sent or logged, too.")
@click.option("--limit", type=click.IntRange(min=1), default=100, help="How many, at most.")
@FORMAT_OPTION
def list_alarms(form: str, everything: bool, limit: int, **given: Any) -> int:
    """List alarms that nobody got: given up (FAILED), or to be tried again (PENDING)."""
    from taskrunner.service.store import alarms as alarm_store

    statuses = tuple(AlarmStatus) if everything else _NOT_SENT
    with opened(**given) as store, store.read() as conn:
        shown = [_shown(row) for row in alarm_store.list_alarms(conn, statuses, limit)]
    click.echo(json.dumps({"alarms": shown}, indent=2) if form == "json" else _as_table(shown))
    return 0


@command.command()
@click.argument("pipeline_id", required=False)
@click.argument("alarm_id", required=False)
@of_store
@click.option("--all", "everything", is_flag=True, help="Every one that was given up.")
def retry(pipeline_id: str | None, alarm_id: str | None, everything: bool, **given: Any) -> int:
    """Have alarms that were given up sent after all: all, a pipeline's, or one."""
    from taskrunner.clock import SystemClock
    from taskrunner.service.store import alarms as alarm_store

    if everything == (pipeline_id is not None):
        raise UsageError("which alarms? Give PIPELINE_ID [ALARM_ID], or --all")
    with opened(**given) as store, store.write() as conn:
        number = alarm_store.retry(
            conn, SystemClock().now(), pipeline_id=pipeline_id, alarm_id=alarm_id
        )
    click.echo(f"alarms to be sent after all: {number}")
    return 0 if number else 1


def _shown(row: AlarmRow) -> dict[str, Any]:
    return {
        "pipeline_id": row.pipeline_id,
        "alarm_id": row.alarm_id,
        "status": row.status,
        "raised_at": format_datetime(row.created_at),
        "topic": row.shown_topic,
        "subject": row.subject,
        "message": row.message,
        "tries": row.tries,
        "taken_by": list(row.taken_by),
        "error": row.error,
        "next_at": row.next_at and format_datetime(row.next_at),
    }


def _as_table(shown: list[dict[str, Any]]) -> str:
    heads = ("RAISED", "STATUS", "TRIES", "PIPELINE", "ALARM", "SUBJECT", "ERROR")
    rows = [
        (
            *(alarm["raised_at"], alarm["status"], str(alarm["tries"])),
            *(alarm["pipeline_id"], alarm["alarm_id"], alarm["subject"], alarm["error"] or ""),
        )
        for alarm in shown
    ]
    return aligned(heads, rows)
