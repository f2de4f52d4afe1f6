"""The options of `taskrunner serve` that are about its store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import click

from taskrunner.errors import UsageError

if TYPE_CHECKING:
    from taskrunner.service.settings import Retention
    from taskrunner.service.store.backend import Opening

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
)


def store_options(command: Decorated) -> Decorated:
    """Add them to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """What the command line said of the store."""

    database_url: str | None = field(repr=False)
    create: bool
    restored: bool
    keep_days: float
    keep_versions: int
    keep_rows: int

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> tuple[Self, Mapping[str, Any]]:
        """Them, and what is about something else. Raises UsageError for what cannot be both."""
        names = {known.name for known in fields(cls)}
        if given["create"] and given["restored"]:
            raise UsageError("--create and --restored: one or the other")
        own = {name: value for name, value in given.items() if name in names}
        return cls(**own), {name: value for name, value in given.items() if name not in names}

    @property
    def opening(self) -> Opening:
        """What may be done where the store is not the one that was here."""
        from taskrunner.service.store.backend import Opening

        return Opening(create=self.create, restored=self.restored)

    @property
    def retention(self) -> Retention:
        """How long the store keeps what is over."""
        from taskrunner.service.settings import Retention

        return Retention(days=self.keep_days, versions=self.keep_versions, rows=self.keep_rows)
