"""Which proxy leads to an endpoint, by the variables that all tools read: HTTPS_PROXY, NO_PROXY."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from taskrunner.errors import ConfigError
from taskrunner.wire.endpoint import Endpoint

#: EC2's instance metadata, in the forms in which libraries look for it in NO_PROXY.
METADATA = ("169.254.169.254", "fd00:ec2::254", "[fd00:ec2::254]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy, without its password in the URL."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def proxy_of(endpoint: Endpoint, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy to an endpoint; None: straight. Raises ConfigError for one that is no URL."""
    names = {name.lower(): value for name, value in environ.items()}
    # Of two forms the lower one counts, as everywhere.
    names |= {name: value for name, value in environ.items() if name.islower()}
    if endpoint.loopback or _bypassed(endpoint, names.get("no_proxy", "")):
        return None
    for name in (f"{endpoint.scheme}_proxy", "all_proxy"):
        if given := names.get(name, "").strip():
            return _parse(name.upper(), given)
    return None


def never_through_proxy(environ: MutableMapping[str, str], addresses: Sequence[str]) -> None:
    """Keep these addresses off the proxy for every library of this process and its children."""
    before = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    items = [item.strip() for item in before.split(",") if item.strip()]
    wanted = ",".join(dict.fromkeys([*items, *addresses]))
    environ["NO_PROXY"] = environ["no_proxy"] = wanted


def _parse(name: str, text: str) -> Proxy:
    # The value is not told: it may hold a password.
    wrong = ConfigError(f"{name}: wanted http://[USER:PASSWORD@]HOST:PORT")
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise wrong
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    url = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    if parts.username is None:
        return Proxy(url=url)
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    basic = base64.b64encode(login.encode()).decode()
    return Proxy(url=url, headers={"proxy-authorization": f"Basic {basic}"})


def _bypassed(endpoint: Endpoint, no_proxy: str) -> bool:
    items = (item.strip().lower() for item in no_proxy.split(","))
    return any(_matches(endpoint, item) for item in items if item)


def _matches(endpoint: Endpoint, item: str) -> bool:
    """A name and all below it, with or without a port; an address; a network; or `*`."""
    if item == "*" or _within(endpoint.host, item):
        return True
    name, colon, port = item.rpartition(":")
    if colon and port.isdigit() and ":" not in name:
        if int(port) != endpoint.port:
            return False
        item = name
    host, suffix = endpoint.host.lower(), item.removeprefix("*").lstrip(".")
    return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))


def _within(host: str, item: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(item.strip("[]"), strict=False)
    except ValueError:
        return False
