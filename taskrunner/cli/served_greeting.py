"""What `taskrunner serve` says when it is ready."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from taskrunner.host.systemd import Notifier

if TYPE_CHECKING:
    from taskrunner.cli.serve import Options
    from taskrunner.cli.served_resources import ServedResources
    from taskrunner.service.server import ServiceServer
    from taskrunner.service.store.database import Store


def announce(
    options: Options, resources: ServedResources, server: ServiceServer, store: Store
) -> None:
    """Say where it listens, and how to use it; and to systemd that it is there."""
    url = server.url
    made = "a new store was made: " if store.is_new else "the store is "
    lines = [
        f"taskrunner serve: listening on {url}",
        f"taskrunner serve: {made}{store.where}",
        "",
        "For boto3, the AWS CLI and other SDKs:",
        f"  export AWS_ENDPOINT_URL_DATA_PIPELINE={url}",
        f"  export AWS_DEFAULT_REGION={options.region}",
    ]
    if options.no_auth:
        lines.append("  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local  # any will do")
    else:
        lines.append("  export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=...  # one of the keys")
    lines += [
        *options.console.lines(url, keys=not options.no_auth),
        "An agent:",
        f"  taskrunner --worker-group NAME --endpoint {url}",
        *resources.lines(url),
    ]
    click.echo("\n".join(lines))
    Notifier.from_environment(os.environ).send(READY="1", STATUS=f"listening on {url}")
