"""The options of `taskrunner serve` about where logs and S3 are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    from taskrunner.service.settings import LogSettings

_OPTIONS = (
    click.option(
        "--s3-root",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="A folder that stands for S3: for local resources, for preconditions that the service "
        "checks, and for showing logs.",
    ),
    click.option(
        "--s3-endpoint",
        metavar="URL",
        help="S3 endpoint, for the same.",
    ),
    click.option(
        "--log-uri",
        metavar="URI",
        help="Where agents push logs of pipelines without pipelineLogUri (their --log-uri), so "
        "that they can be shown.",
    ),
    click.option(
        "--log-folder",
        "log_folders",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="A local folder that logs may be shown from (repeatable), where pipelineLogUri or "
        "--log-uri is one.",
    ),
)


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What the command line said of logs and S3."""

    s3_root: Path | None = None
    s3_endpoint: str | None = None
    log_uri: str | None = None
    log_folders: tuple[Path, ...] = ()

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> tuple[Self, dict[str, Any]]:
        """These of all options, and the others."""
        others = dict(given)
        own = cls(
            s3_root=others.pop("s3_root"),
            s3_endpoint=others.pop("s3_endpoint"),
            log_uri=others.pop("log_uri"),
            log_folders=tuple(others.pop("log_folders")),
        )
        return own, others

    def settings(self, region: str) -> LogSettings:
        """What the service is told. Raises ConfigError for an endpoint that is none."""
        from taskrunner.data.settings import check_endpoint
        from taskrunner.service.settings import LogSettings

        return LogSettings(
            log_uri=self.log_uri,
            folders=tuple(folder.absolute() for folder in self.log_folders),
            s3_root=self.s3_root.absolute() if self.s3_root else None,
            s3_endpoint=check_endpoint(self.s3_endpoint) if self.s3_endpoint else None,
            region=region,
        )
