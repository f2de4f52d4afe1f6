"""`taskrunner keys`: the keys that lie in a service's store, beside the running service."""

from __future__ import annotations

import getpass
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskrunner.cli.store_options import default_database, key_source
from taskrunner.model.times import format_datetime
from taskrunner.plain import aligned
from taskrunner.service.callers import ANONYMOUS

if TYPE_CHECKING:
    from taskrunner.service.store.database import Store
    from taskrunner.service.store.rows import AccessKeyRow

Decorated = Callable[..., Any]
_OF_STORE = (
    click.option(
        "--database-url",
        metavar="URL",
        envvar="TASKRUNNER_DATABASE_URL",
        help="The service's store, as `taskrunner serve` has it.",
    ),
    click.option(
        "--store-key-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        envvar="TASKRUNNER_STORE_KEY_FILE",
        help="The key that secrets in the store are encrypted by, as `taskrunner serve` has it.",
    ),
    click.option(
        "--store-key-command",
        metavar="COMMAND",
        envvar="TASKRUNNER_STORE_KEY_COMMAND",
        help="A command that prints that key.",
    ),
)

FORMAT_OPTION = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="For people or for programs.",
)


@click.group(context_settings={"max_content_width": 100, "show_default": True})
def command() -> None:
    """Keys of a service: those of its callers, and those that secrets are encrypted by.

    Run it on a host that can open the store, as a user who may: of SQLite the service's own. The
    service may run meanwhile.
    """


def of_store(function: Decorated) -> Decorated:
    """Add the options that say which store it is."""
    for option in reversed(_OF_STORE):
        function = option(function)
    return function


@contextmanager
def opened(
    database_url: str | None, store_key_file: Path | None, store_key_command: str | None
) -> Iterator[Store]:
    """The store, of which somebody else may be the owner."""
    from taskrunner.service.store.backend import Opening
    from taskrunner.service.store.database import Store

    key = key_source(store_key_file, store_key_command, os.environ)
    url = database_url or default_database(os.environ)
    with closing(Store(url, opening=Opening(store_key=key, as_guest=True))) as store:
        yield store


def by_command(operation: str, now: datetime) -> AbstractContextManager[None]:
    """What is done meanwhile is done by who runs this command."""
    from taskrunner.service.store.audit import Actor, acting

    user = f"{getpass.getuser()}@{socket.gethostname()}"
    return acting(Actor(at=now, account=ANONYMOUS.account, user=user, operation=operation))


@command.command()
@of_store
@click.option("--role", metavar="ROLE", help="runner, viewer, operator, author or admin.")
@click.option(
    "--action", "actions", multiple=True, metavar="NAME", help="A call that it may make, instead."
)
@click.option("--id", "key_id", metavar="ID", help="The key's id; without it a random one.")
@click.option("--user", metavar="NAME", help="Whose it is; without it the id.")
@click.option("--account", default=ANONYMOUS.account, metavar="ACCOUNT", help="Whose pipelines.")
@click.option(
    "--worker-group",
    "worker_groups",
    multiple=True,
    metavar="NAME",
    help="A worker group that it may poll for (repeatable); without it, any.",
)
@click.option("--note", metavar="TEXT", help="What it is for.")
@FORMAT_OPTION
def create(form: str, **given: Any) -> int:
    """Make a key for a caller, and print its secret, which is shown this once only."""
    from taskrunner.clock import SystemClock
    from taskrunner.service.stored_keys import Wanted, create

    with opened(*_store_of(given)) as store:
        now = SystemClock().now()
        with by_command("keys create", now):
            row = create(store, Wanted(**given), now)
    if form == "json":
        click.echo(json.dumps({"id": row.key_id, "secret": row.secret}))
    else:
        click.echo(f"AWS_ACCESS_KEY_ID={row.key_id}\nAWS_SECRET_ACCESS_KEY={row.secret}")
    return 0


@command.command("list")
@of_store
@click.option("--all", "everything", is_flag=True, help="Those that were revoked, too.")
@FORMAT_OPTION
def list_keys(form: str, everything: bool, **given: Any) -> int:
    """List the keys of callers in the store."""
    from taskrunner.service.store import access_keys

    with opened(**given) as store, store.read() as conn:
        rows = access_keys.everything(conn) if everything else access_keys.in_force(conn)
    shown = [_shown(row) for row in rows]
    click.echo(json.dumps({"keys": shown}, indent=2) if form == "json" else _as_table(shown))
    return 0


@command.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@of_store
def revoke(ids: tuple[str, ...], **given: Any) -> int:
    """Make keys of callers good for nothing, from now on; their held polls end."""
    from taskrunner.clock import SystemClock
    from taskrunner.service.stored_keys import revoke

    with opened(**given) as store:
        now = SystemClock().now()
        with by_command("keys revoke", now):
            revoke(store, ids, now)
    click.echo(f"revoked: {', '.join(ids)}")
    return 0


def _store_of(given: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Take out of the options those of `of_store`."""
    return (
        given.pop("database_url"),
        given.pop("store_key_file"),
        given.pop("store_key_command"),
    )


def _shown(row: AccessKeyRow) -> dict[str, Any]:
    """What is told of a key."""
    return {
        "id": row.key_id,
        "user": row.user_id,
        "account": row.account,
        "role": row.role,
        "actions": row.actions,
        "worker_groups": row.worker_groups,
        "created": format_datetime(row.created_at),
        "revoked": row.revoked_at and format_datetime(row.revoked_at),
        "note": row.note,
    }


def _as_table(shown: list[dict[str, Any]]) -> str:
    heads = ("ID", "USER", "ACCOUNT", "MAY", "WORKER GROUPS", "CREATED", "REVOKED", "NOTE")
    rows = [
        (
            *(key["id"], key["user"], key["account"]),
            key["role"] or ",".join(key["actions"] or ()),
            "any" if key["worker_groups"] is None else ",".join(key["worker_groups"]),
            *(key["created"], key["revoked"] or "", key["note"] or ""),
        )
        for key in shown
    ]
    return aligned(heads, rows)


@command.command()
@of_store
def rotate(**given: Any) -> int:
    """Encrypt all secrets in the store by a new key.

    The service goes on meanwhile. When it is stopped half-way, the service does the rest, or the
    next call does. Where the store's own key (--store-key-file) has a new first line, that one is
    used from now on, and the older ones can be taken out of it afterwards.
    """
    from taskrunner.clock import SystemClock
    from taskrunner.service.reencryption import PAUSE_S, Reencryption, rotate

    clock, nothing = SystemClock(), threading.Event()

    with opened(**given) as store:
        key_id, taken_over = rotate(store)
        click.echo(f"sealing by the data key {key_id}")
        if taken_over:
            click.echo(f"data keys that the store's new key has sealed: {taken_over}")
        work, rows = Reencryption(store), 0
        while not work.is_complete():
            done = work.batch()
            rows += done
            if not done:
                clock.wait(nothing, PAUSE_S)  # the service, or another call, has the rest
    click.echo(f"rows sealed anew: {rows}")
    return 0
