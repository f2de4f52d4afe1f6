"""The options of `taskrunner serve` that are about its console."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    from starlette.routing import Route

    from taskrunner.service.v1.edge import EdgeParts

Decorated = Callable[..., Any]

_OPTIONS: tuple[Callable[[Decorated], Decorated], ...] = (
    click.option(
        "--console/--no-console", default=True, help="Show the console to browsers, or do not."
    ),
    click.option(
        "--console-url",
        metavar="URL",
        help="The address that browsers know the console by, where a proxy stands before it.",
    ),
)


def console_options(command: Decorated) -> Decorated:
    """Add them to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """What the command line said of the console."""

    console: bool
    console_url: str | None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> tuple[Self, Mapping[str, Any]]:
        """Them, and what is about something else."""
        names = {known.name for known in fields(cls)}
        own = {name: value for name, value in given.items() if name in names}
        return cls(**own), {name: value for name, value in given.items() if name not in names}

    def lines(self, url: str, *, keys: bool) -> Sequence[str]:
        """How the console of the service at `url` is opened, for whoever starts it."""
        if not self.console:
            return ()
        known = (self.console_url or url).rstrip("/")
        how = f"taskrunner login {known}  # with one of the keys" if keys else f"{known}/"
        return ("The console, in a browser:", f"  {how}")

    def pages(self, *, keys: bool) -> Callable[[EdgeParts], Sequence[Route]]:
        """What makes the console's routes, if there is to be one. Raises UsageError."""
        if not self.console:
            return lambda _parts: ()
        from taskrunner.console.table import console

        return console(keys=keys, url=self.console_url)
