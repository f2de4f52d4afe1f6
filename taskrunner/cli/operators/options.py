"""The options that every command of operators has, and the connection that they describe."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from taskrunner.config.options import FORMAT

if TYPE_CHECKING:
    from taskrunner.cli.operators.service import Service
    from taskrunner.wire.client import Client

_SERVICE: tuple[click.Parameter, ...] = (
    click.Option(
        ["--endpoint"],
        metavar="URL",
        help="The service. [$AWS_ENDPOINT_URL_DATA_PIPELINE, $AWS_ENDPOINT_URL; else AWS's own in "
        "the region]",
    ),
    click.Option(["--region"], metavar="REGION", help="Its region. [$AWS_REGION; else us-east-1]"),
    click.Option(["--profile"], metavar="NAME", help="Whose credentials sign. [$AWS_PROFILE]"),
    click.Option(["--ca-bundle"], metavar="FILE", help="Certificates to trust. [$AWS_CA_BUNDLE]"),
    click.Option(
        ["--allow-http"], is_flag=True, help="Take plain http to another machine than this."
    ),
    FORMAT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line said of the service, and how to answer."""

    endpoint: str | None
    region: str | None
    profile: str | None
    ca_bundle: str | None
    allow_http: bool
    as_json: bool

    def at(self, endpoint: str | None) -> Asked:
        """The same of another endpoint."""
        return replace(self, endpoint=endpoint)

    def client(self) -> Client:
        """A client of the service; raises ConfigError for settings that cannot be."""
        from pathlib import Path

        from taskrunner.clock import SystemClock
        from taskrunner.wire.connect import ClientSettings, connect

        settings = ClientSettings(
            endpoint=self.endpoint,
            region=self.region,
            profile=self.profile,
            allow_http=self.allow_http,
            ca_bundle=Path(self.ca_bundle) if self.ca_bundle else None,
            environ=os.environ,
        )
        return connect(settings, SystemClock())

    def connect(self) -> Service:
        """The service; raises ConfigError for settings that cannot be."""
        from taskrunner.cli.operators.service import Service
        from taskrunner.clock import SystemClock

        return Service(self.client(), SystemClock())


def command(
    name: str,
    run: Callable[..., int | None],
    text: str,
    params: Sequence[click.Parameter] = (),
) -> click.Command:
    """A command whose function takes an `Asked` before its own options."""

    def callback(**given: Any) -> int | None:
        asked, own = _asked(given)
        return run(asked, **own)

    return click.Command(
        name,
        callback=callback,
        params=[*params, *_SERVICE],
        help=text,
        context_settings={"max_content_width": 100},
    )


def group(name: str, text: str, commands: Sequence[click.Command]) -> click.Group:
    """Commands under one name."""
    return click.Group(
        name,
        commands={one.name or "": one for one in commands},
        help=text,
        context_settings={"max_content_width": 100},
    )


def _asked(given: Mapping[str, Any]) -> tuple[Asked, dict[str, Any]]:
    own = dict(given)
    asked = Asked(
        endpoint=own.pop("endpoint"),
        region=own.pop("region"),
        profile=own.pop("profile"),
        ca_bundle=own.pop("ca_bundle"),
        allow_http=own.pop("allow_http"),
        as_json=own.pop("form") == "json",
    )
    return asked, own


def pipeline_filters() -> list[click.Parameter]:
    """What chooses pipelines, as /v1 takes it; those that meet all of it are meant."""
    return [
        click.Option(["--name"], metavar="TEXT", help="Part of the name or the id."),
        click.Option(
            ["--state"], multiple=True, metavar="STATE", help="In this state (repeatable)."
        ),
        click.Option(["--health"], metavar="HEALTH", help="HEALTHY or ERROR."),
        click.Option(["--tag"], multiple=True, metavar="KEY[=VALUE]", help="With it (repeatable)."),
        click.Option(["--group"], metavar="NAME", help="With work for a worker group."),
        click.Option(["--late"], is_flag=True, help="With instances that are late."),
    ]


def pipeline_argument() -> click.Argument:
    """The pipeline, by its id or its name."""
    return click.Argument(["pipeline"])


class Moment(click.ParamType[str]):
    """A moment in UTC, or with a zone."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As the service takes it."""
        from datetime import UTC, datetime

        try:
            found = datetime.fromisoformat(str(value).upper())
        except ValueError:
            self.fail(f"{value!r}: wanted a moment such as 2026-01-31T02:00:00", param, ctx)
        moment = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


MOMENT = Moment()
