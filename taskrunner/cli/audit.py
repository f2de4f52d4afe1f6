"""`taskrunner audit`: who changed what in a service."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

from taskrunner.cli.inputs import moment
from taskrunner.cli.keys import FORMAT_OPTION, of_store, opened
from taskrunner.model.times import format_datetime
from taskrunner.plain import aligned
from taskrunner.service.store.audit import AuditRow


@click.command(context_settings={"max_content_width": 100, "show_default": True})
@of_store
@click.option("--subject", metavar="ID", help="Of one pipeline, or one key.")
@click.option("--user", metavar="NAME", help="By one user.")
@click.option(
    "--since", callback=moment, metavar="TIME", help="From YYYY-MM-DDTHH:MM:SS on, in UTC."
)
@click.option("--limit", type=click.IntRange(min=1), default=100, help="How many, at most.")
@FORMAT_OPTION
def command(
    form: str,
    subject: str | None,
    user: str | None,
    since: datetime | None,
    limit: int,
    **given: Any,
) -> int:
    """List who changed what, the newest first.

    Run it on a host that can open the store, as a user who may: of SQLite the service's own. The
    service may run meanwhile.
    """
    from taskrunner.service.store import audit

    with opened(**given) as store, store.read() as conn:
        rows = audit.find(conn, limit=limit, subject=subject, user=user, since=since)
    shown = [_shown(row) for row in rows]
    click.echo(json.dumps({"audit": shown}, indent=2) if form == "json" else _as_table(shown))
    return 0


def _shown(row: AuditRow) -> dict[str, Any]:
    return {
        "at": format_datetime(row.at),
        "user": row.user_id,
        "account": row.account,
        "key": row.key_id,
        "address": row.address,
        "operation": row.operation,
        "subject": row.subject,
        "objects": row.objects,
        "before": row.before,
        "after": row.after,
    }


def _as_table(shown: list[dict[str, Any]]) -> str:
    names = ("at", "user", "address", "operation", "subject", "objects", "before", "after")
    rows = [[str(entry[name] or "") for name in names] for entry in shown]
    return aligned([name.upper() for name in names], rows)
