"""Which service a command talks to, AWS's or one of ours, and as whom."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

import click

from taskrunner.clock import SystemClock
from taskrunner.wire.api import Call
from taskrunner.wire.client import Client
from taskrunner.wire.connect import ClientSettings, connect
from taskrunner.wire.endpoint import resolve_region
from taskrunner.wire.retrying import RetryingCalls


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service to be called."""

    client: Client
    #: The 19 operations, with second tries.
    call: Call
    region: str

    @property
    def where(self) -> str:
        """How it is named to people."""
        return str(self.client.endpoint)


def reach(
    *,
    endpoint: str | None,
    region: str | None,
    profile: str | None,
    allow_http: bool,
    ca_bundle: str | None,
) -> Service:
    """The service that a command's options name. Raises ConfigError."""
    clock = SystemClock()
    settings = ClientSettings(
        endpoint=endpoint,
        region=region,
        profile=profile,
        allow_http=allow_http,
        ca_bundle=Path(ca_bundle) if ca_bundle else None,
        environ=os.environ,
    )
    client = connect(settings, clock)
    tried = RetryingCalls(client.call, clock=clock, fraction=random.random)
    return Service(client=client, call=tried.call, region=resolve_region(region, os.environ))


def endpoint_options() -> list[click.Parameter]:
    """The options by which `reach` finds a service; without them as any AWS SDK would."""
    return [
        click.Option(
            ["--endpoint"],
            metavar="URL",
            help="The service. [$AWS_ENDPOINT_URL_DATA_PIPELINE, $AWS_ENDPOINT_URL; AWS's own]",
        ),
        click.Option(
            ["--region"], help="Its region. [$AWS_REGION, $AWS_DEFAULT_REGION; us-east-1]"
        ),
        click.Option(["--profile"], help="Whose credentials of the AWS configuration to use."),
        click.Option(
            ["--allow-http"], is_flag=True, help="Let the endpoint be http on another machine."
        ),
        click.Option(
            ["--ca-bundle"], metavar="FILE", help="Certificates to trust. [$AWS_CA_BUNDLE]"
        ),
    ]
