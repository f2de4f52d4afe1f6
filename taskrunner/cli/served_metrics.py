"""Who may read the metrics of a service, by its options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from taskrunner.config.secret_files import credential, read_secret
from taskrunner.errors import ConfigError

#: Short ones could be guessed: nobody counts how often somebody tries.
_SHORTEST = 16

metrics_option = click.option(
    "--metrics-token-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    envvar="TASKRUNNER_METRICS_TOKEN_FILE",
    help="A token that opens /metrics to other hosts, as Authorization: Bearer. Without it, or the "
    "credential metrics_token of systemd, they are for this host.",
)


def metrics_token(file: Path | None, environ: Mapping[str, str]) -> str | None:
    """What opens them to other hosts; None: nothing does. Raises ConfigError."""
    found = file or credential("metrics_token", environ)
    if found is None:
        return None
    token = str(read_secret(found, place="--metrics-token-file"))
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable():
        raise ConfigError(
            f"--metrics-token-file {found}: wanted {_SHORTEST} or more printable letters of ASCII"
        )
    return token
