"""Which Host headers are answered: a web page must not reach us by a name of its own making."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from taskrunner.service.replies import fault_reply
from taskrunner.wire.endpoint import is_loopback
from taskrunner.wire.faults import WrongHost


@lru_cache(maxsize=256)
def allows(header: str, names: frozenset[str]) -> bool:
    """Whether a Host header is one of `names`, or loopback, or an address.

    Rebinding needs a name that somebody else's name server answers; an address is none.
    """
    host = _host_of(header)
    if host is None:
        return False
    return is_loopback(host) or _is_address(host) or host in names


def _host_of(header: str) -> str | None:
    """The host without its port, in lower case; None for what is no host."""
    if header.startswith("["):
        host, bracket, port = header[1:].partition("]")
        port = port.removeprefix(":") if bracket else "no"
    else:
        host, _, port = header.partition(":")
    if not host or (port and not port.isdecimal()):
        return None
    return host.lower().rstrip(".")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def lowered(names: Iterable[str]) -> frozenset[str]:
    """Names as they are compared."""
    return frozenset(name.lower() for name in names)


class HostGuard:
    """Answers every route of an application for allowed hosts only."""

    def __init__(self, app: ASGIApp, *, names: Iterable[str]) -> None:
        """`names` are allowed beside loopback names and addresses; `*` allows any."""
        self._app = app
        self._names = lowered(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421."""
        if scope["type"] == "http" and not names_us(scope, self._names):
            fault = WrongHost("this service does not answer to that name")
            await fault_reply(fault)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def names_us(scope: Scope, names: frozenset[str]) -> bool:
    """Whether a request has one Host header, and an allowed one; among `names`, `*` allows any."""
    if "*" in names:
        return True
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    return len(hosts) == 1 and allows(hosts[0].decode("latin-1"), names)
