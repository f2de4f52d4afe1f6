"""Where the service is: resolved as the AWS SDKs resolve it, and refused where it is not safe."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from taskrunner.errors import ConfigError
from taskrunner.logins import hide_passwords

#: AWS's Task Runner worked in this region when it was told none.
DEFAULT_REGION = "us-east-1"

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A service's address."""

    scheme: str
    host: str
    port: int
    path: str = "/"

    @property
    def authority(self) -> str:
        """The value of the Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether it can only be on this machine."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine, whatever a name server says."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def resolve_region(region: str | None, environ: Mapping[str, str]) -> str:
    """The region: given, or of AWS_REGION or AWS_DEFAULT_REGION, or us-east-1."""
    return (
        region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    )


def resolve_endpoint(
    url: str | None, *, region: str, environ: Mapping[str, str], allow_http: bool = False
) -> Endpoint:
    """The endpoint: given, of AWS_ENDPOINT_URL_DATA_PIPELINE or AWS_ENDPOINT_URL, or AWS's own.

    Raises ConfigError for what is no URL, and for http to another machine without `allow_http`.
    """
    given = url or _from_environ(environ) or f"https://datapipeline.{region}.amazonaws.com"
    endpoint = parse_endpoint(given)
    if endpoint.scheme == "http" and not (endpoint.loopback or allow_http):
        raise ConfigError(
            f"endpoint {given!r}: http to another machine would show tasks and their secrets to "
            "the network; use https, or allow http explicitly"
        )
    return endpoint


def _from_environ(environ: Mapping[str, str]) -> str | None:
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return environ.get("AWS_ENDPOINT_URL_DATA_PIPELINE") or environ.get("AWS_ENDPOINT_URL")


def parse_endpoint(text: str) -> Endpoint:
    """The endpoint that a URL names; raises ConfigError."""
    shown = hide_passwords(repr(text))
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"endpoint {shown}: {error}") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ConfigError(f"endpoint {shown}: wanted https://HOST[:PORT] or http://HOST[:PORT]")
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigError(f"endpoint of {parts.hostname}: only scheme, host, port and path, please")
    return Endpoint(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        path=parts.path or "/",
    )
