"""`taskrunner backup` and `taskrunner restore`: copies of the service's SQLite store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from taskrunner.errors import ConfigError

_DATABASE = click.option(
    "--database-url",
    metavar="URL",
    envvar="TASKRUNNER_DATABASE_URL",
    help="sqlite:////PATH, as `serve` has it. Without it, $XDG_STATE_HOME/taskrunner/service.db.",
)
_ELSEWHERE = (
    "--database-url: this copies SQLite's file; PostgreSQL has pg_dump and point-in-time recovery "
    "(docs/operate.md)"
)


@click.command(context_settings={"max_content_width": 100})
@click.argument("file", type=click.Path(path_type=Path))
@_DATABASE
def backup(file: Path, database_url: str | None) -> None:
    """Copy the service's store into FILE, whole and of one moment, while it goes on.

    The copy is one file, verified. It holds what the store holds: keep it as private.
    """
    from taskrunner.service.store.copies import back_up

    store = store_path(database_url, os.environ)
    done = back_up(store, file)
    changes = f", {done.store.changes} changes" if done.store else ""
    click.echo(f"copied {store} to {file}: {done.size} bytes{changes}, verified")


@click.command(context_settings={"max_content_width": 100})
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_DATABASE
def restore(file: Path, database_url: str | None) -> None:
    """Put a copy by `taskrunner backup` in the place of the service's store.

    The service must be stopped. What is in the place is renamed, not removed. The service then
    starts as ever; runners that still work at tasks of that time are waited for.
    """
    from taskrunner.clock import SystemClock
    from taskrunner.service.store.copies import restore as put_back

    store = store_path(database_url, os.environ)
    for path in put_back(file, store, SystemClock()):
        click.echo(f"moved aside: {path}")
    click.echo(f"restored {store} from {file}")


def store_path(database_url: str | None, environ: Mapping[str, str]) -> Path:
    """The file of a SQLite store. Raises ConfigError for anything else."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    from taskrunner.cli.store_options import default_database

    try:
        url = make_url(database_url or default_database(environ))
    except ArgumentError:
        raise ConfigError("--database-url: wanted sqlite:////path/to/file") from None
    if url.get_backend_name() != "sqlite" or not url.database:
        raise ConfigError(_ELSEWHERE)
    # What a link leads to, as the service takes it.
    return Path(os.path.realpath(url.database))
