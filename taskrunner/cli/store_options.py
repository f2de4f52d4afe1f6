"""The options of `taskrunner serve` that are about its store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from taskrunner.errors import UsageError

if TYPE_CHECKING:
    from taskrunner.service.settings import Retention
    from taskrunner.service.store.backend import Opening
    from taskrunner.service.store.store_key import StoreKeySource

Decorated = Callable[..., Any]

_OPTIONS: tuple[Callable[[Decorated], Decorated], ...] = (
    click.option(
        "--database-url",
        metavar="URL",
        envvar="TASKRUNNER_DATABASE_URL",
        help="sqlite:////PATH or postgresql://USER:PASSWORD@HOST/DATABASE. "
        "Without it, SQLite in $XDG_STATE_HOME/taskrunner/service.db.",
    ),
    click.option(
        "--store-key-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        envvar="TASKRUNNER_STORE_KEY_FILE",
        help="The key that secrets in the store are encrypted by: 32 bytes in base64, a line each, "
        "older ones last. Without it the credential store_key of systemd; else, for SQLite, a file "
        "beside the database, which a first start makes.",
    ),
    click.option(
        "--store-key-command",
        metavar="COMMAND",
        envvar="TASKRUNNER_STORE_KEY_COMMAND",
        help="A command that prints that key.",
    ),
    click.option(
        "--create",
        is_flag=True,
        help="Begin with a new, empty store although there was one. Without it, only a first "
        "start makes one. Refused where a store is.",
    ),
    click.option(
        "--restored",
        is_flag=True,
        help="Go on with a store that is older than the one that was here, as a backup is, or is "
        "another one. Refused where neither is the case.",
    ),
    click.option(
        "--keep-days",
        type=click.FloatRange(min=0, min_open=True),
        default=30.0,
        metavar="DAYS",
        help="How long replaced versions of definitions, silent runners, and hand-outs, alarms "
        "and deleted pipelines that are over stay in the store.",
    ),
    click.option(
        "--keep-versions",
        type=click.IntRange(min=0),
        default=10,
        metavar="N",
        help="How many replaced versions of a definition stay, at most. Those by which something "
        "still runs stay in any case.",
    ),
    click.option(
        "--keep-rows",
        type=click.IntRange(min=1),
        default=100_000,
        metavar="N",
        help="How many runners, hand-outs, alarms and deleted pipelines stay, at most, of each.",
    ),
    click.option(
        "--keep-run-days",
        type=click.FloatRange(min=0, min_open=True),
        metavar="DAYS",
        help="How long instances stay with their attempts after they ended. Without it, until "
        "their pipeline is deleted.",
    ),
    click.option(
        "--keep-runs",
        type=click.IntRange(min=1),
        metavar="N",
        help="How many ended instances of each component stay, at most. Without it, all.",
    ),
    click.option(
        "--archive",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Where runs are written down before they go by one of the two, as JSON lines.",
    ),
)


def key_source(
    file: Path | None, command: str | None, environ: Mapping[str, str]
) -> StoreKeySource | None:
    """Where the store's key comes from, if anybody has said. Raises UsageError."""
    from taskrunner.config.secret_files import credential
    from taskrunner.service.store.store_key import CREDENTIAL, StoreKeySource

    if file is not None and command is not None:
        raise UsageError("--store-key-file and --store-key-command: one or the other")
    if command is not None:
        return StoreKeySource(command=command)
    found = file or credential(CREDENTIAL, environ)
    return StoreKeySource(file=found) if found is not None else None


def default_database(environ: Mapping[str, str]) -> str:
    """The store of a service whose operator has named none."""
    return f"sqlite:///{state_folder(environ) / 'service.db'}"


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where programs of this user keep their state."""
    state = environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "taskrunner"


def store_options(command: Decorated) -> Decorated:
    """Add them to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """What the command line said of the store."""

    database_url: str | None = field(repr=False)
    store_key_file: Path | None
    store_key_command: str | None = field(repr=False)
    create: bool
    restored: bool
    keep_days: float
    keep_versions: int
    keep_rows: int
    keep_run_days: float | None
    keep_runs: int | None
    archive: Path | None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> tuple[Self, Mapping[str, Any]]:
        """Them, and what is about something else. Raises UsageError for what cannot be both."""
        names = {known.name for known in fields(cls)}
        if given["create"] and given["restored"]:
            raise UsageError("--create and --restored: one or the other")
        if given["archive"] and given["keep_run_days"] is None and given["keep_runs"] is None:
            raise UsageError("--archive: wanted with --keep-run-days or --keep-runs")
        own = {name: value for name, value in given.items() if name in names}
        return cls(**own), {name: value for name, value in given.items() if name not in names}

    def opening(self, environ: Mapping[str, str]) -> Opening:
        """What may be done where the store is not the one that was here, and where its key is."""
        from taskrunner.service.store.backend import Opening

        key = key_source(self.store_key_file, self.store_key_command, environ)
        return Opening(create=self.create, restored=self.restored, store_key=key)

    @property
    def retention(self) -> Retention:
        """How long the store keeps what is over."""
        from taskrunner.service.settings import Retention

        return Retention(
            days=self.keep_days,
            versions=self.keep_versions,
            rows=self.keep_rows,
            run_days=self.keep_run_days,
            runs=self.keep_runs,
            archive=self.archive,
        )
