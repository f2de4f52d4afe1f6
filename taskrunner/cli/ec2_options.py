"""The options of `taskrunner serve` for instances that are made for resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import click

from taskrunner.errors import UsageError
from taskrunner.wire.endpoint import parse_endpoint

if TYPE_CHECKING:
    from taskrunner.service.resources.ec2.user_data import AgentSettings

_OPTIONS = (
    click.option(
        "--ec2-package",
        metavar="PACKAGE",
        envvar="TASKRUNNER_EC2_PACKAGE",
        help="What instances of the rule ec2 install: s3://BUCKET/taskrunner_agent-VERSION.whl, a "
        "URL, or a requirement for pip.",
    ),
    click.option(
        "--ec2-endpoint",
        metavar="URL",
        envvar="TASKRUNNER_EC2_ENDPOINT",
        show_default="the address of --listen",
        help="Where those instances reach this service.",
    ),
)


def ec2_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class Ec2Options:
    """What the command line said of instances."""

    package: str | None = None
    endpoint: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> tuple[Self, dict[str, Any]]:
        """These of all options, and the others."""
        others = dict(given)
        own = cls(package=others.pop("ec2_package"), endpoint=others.pop("ec2_endpoint"))
        return own, others

    def check(self, *, wanted: bool) -> None:
        """Raise UsageError or ConfigError where they do not fit the rules."""
        if not wanted:
            for name, value in (("--ec2-package", self.package), ("--ec2-endpoint", self.endpoint)):
                if value is not None:
                    raise UsageError(f"{name}: no rule of --resources is ec2")
            return
        if self.package is None:
            raise UsageError(
                "--resources ec2: say with --ec2-package what instances are to install, such as "
                "s3://BUCKET/taskrunner_agent-VERSION-py3-none-any.whl"
            )
        if self.package.strip().lower() in {"", "taskrunner"}:
            raise UsageError(
                f"--ec2-package: found {self.package!r}, wanted a package of your trust; on PyPI, "
                "taskrunner is somebody else's, this is taskrunner-agent"
            )
        if self.endpoint is not None:
            parse_endpoint(self.endpoint)

    def agents(self, url: str, *, region: str, signed: bool) -> AgentSettings:
        """What instances are told of a service at `url`. Raises ConfigError."""
        from taskrunner.service.resources.ec2.user_data import AgentSettings

        return AgentSettings(
            endpoint=self.endpoint or url,
            region=region,
            package=self.package or "",
            signed=signed,
        )

    def warning(self, url: str) -> str | None:
        """What is to be said of the address that instances are told."""
        endpoint = parse_endpoint(self.endpoint or url)
        if endpoint.loopback or endpoint.host in {"0.0.0.0", "::"}:  # noqa: S104
            return (
                f"warning: instances are told to find this service at {endpoint}, which they "
                "cannot reach: give --ec2-endpoint URL, and --listen an address of this host"
            )
        if endpoint.scheme == "http":
            return (
                f"warning: instances find this service at {endpoint}, where tasks and their "
                "secrets can be read on the way: put TLS before it (https)"
            )
        return None
