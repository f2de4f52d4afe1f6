"""The way to the service: region, proxy, name, connection, TLS, clock."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from taskrunner.doctor.case import Case, Finding, failed, passed, warned
from taskrunner.errors import ServiceUnreachable, TaskrunnerError
from taskrunner.logins import hide_passwords
from taskrunner.wire.client import Client, classify, unsigned
from taskrunner.wire.connect import ClientSettings, connect, service_keys
from taskrunner.wire.endpoint import Endpoint, resolve_endpoint, resolve_region
from taskrunner.wire.http import HttpReply, TransportError
from taskrunner.wire.proxies import proxy_of
from taskrunner.wire.runner import fitted
from taskrunner.wire.runner_messages import ReportTaskRunnerHeartbeatInput
from taskrunner.wire.transport import TransportSettings, Urllib3Transport
from taskrunner.wire.user_agent import DOCTOR, Introduction, RunnerFacts

_CONNECT_S = 5.0
_ANSWER_S = 15.0
#: Signatures bear five minutes.
_MOST_SKEW = timedelta(minutes=5)
_ODD_SKEW = timedelta(seconds=30)
_SLOW_S = 2.0
_AWS_HOST = re.compile(r"datapipeline\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?")
#: So that a service of ours does not take it for a runner.
_INTRODUCTION = Introduction(lambda: RunnerFacts(program=DOCTOR))
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class Way:
    """Where calls go."""

    endpoint: Endpoint
    region: str
    client: Client


def find_way(case: Case) -> Way:
    """The endpoint and a client, as the agent makes them. Raises ConfigError."""
    settings = case.settings
    region = resolve_region(settings.region, case.environ)
    endpoint = resolve_endpoint(
        settings.endpoint, region=region, environ=case.environ, allow_http=settings.allow_http
    )
    wire = ClientSettings(
        endpoint=settings.endpoint,
        region=settings.region,
        allow_http=settings.allow_http,
        ca_bundle=settings.ca_bundle,
        keys=service_keys(settings.service_access_id, settings.service_secret_key),
        environ=case.environ,
    )
    return Way(endpoint, region, connect(wire, case.clock, introduction=_INTRODUCTION))


def heartbeat(case: Case, way: Way) -> None:
    """The agent's heartbeat, without a worker group where none is named."""
    way.client.call(
        ReportTaskRunnerHeartbeatInput(
            taskrunner_id=f"doctor-{case.hostname}",
            worker_group=next(iter(case.settings.worker_group), None),
            hostname=fitted(case.hostname, "id") or None,
        )
    )


def check_region(case: Case, way: Way) -> Iterator[Finding]:
    """Signatures name a region, which must be the endpoint's."""
    origin = case.origins["region"]
    match = _AWS_HOST.fullmatch(way.endpoint.host)
    if match and match[1] != way.region:
        yield failed(
            "region",
            f"{way.region} ({origin}), but the endpoint {way.endpoint} is that of {match[1]}",
            f"set region to {match[1]!r}, or leave endpoint out",
        )
    elif origin == "default" and case.settings.endpoint is None:
        yield warned(
            "region",
            f"none is set: {way.region} is taken, as AWS's Task Runner did",
            "set region (--region, TASKRUNNER_REGION or AWS_REGION) to that of your pipelines",
        )
    else:
        yield passed("region", f"{way.region} ({origin})")


def check_proxy(case: Case, way: Way) -> Iterator[Finding]:
    """Which proxy variables there are, and whether they apply."""
    found = {
        name: value
        for name, value in case.environ.items()
        if name.upper() in {*_PROXIES, "NO_PROXY"} and value
    }
    # NO_PROXY says nothing where there is no proxy; the agent itself sets it for EC2's metadata.
    if {name.upper() for name in found} == {"NO_PROXY"}:
        found = {}
    shown = ", ".join(f"{name}={_shown_proxy(value)}" for name, value in sorted(found.items()))
    proxy = proxy_of(way.endpoint, case.environ)
    if proxy is None:
        yield passed("proxy", f"not used for {way.endpoint.host} ({shown or 'none is set'})")
        return
    parts = urlsplit(proxy.url)
    problem = _refused(parts.hostname or "", parts.port or 80)
    if problem:
        yield failed("proxy", f"{_shown_proxy(proxy.url)}: {problem[0]}", _mend_proxy(case))
    else:
        yield passed("proxy", f"{_shown_proxy(proxy.url)} takes connections ({shown})")


def _mend_proxy(case: Case) -> str:
    origin = case.origins["proxy_host"]
    if origin != "default":
        return f"mend proxy_host and proxy_port ({origin}), or take them out"
    names = [name for name in case.environ if name.upper() in _PROXIES and case.environ[name]]
    return f"mend {', '.join(sorted(names))}, or name the service's host in NO_PROXY"


def check_endpoint(case: Case, way: Way) -> Iterator[Finding]:
    """Name, connection, TLS and an answer of the right kind; then the clocks."""
    endpoint = way.endpoint
    straight = proxy_of(endpoint, case.environ) is None
    if straight and (problem := _refused(endpoint.host, endpoint.port)):
        found, remedy = problem
        yield failed("endpoint", f"{endpoint}: {found}", remedy)
        return
    transport = Urllib3Transport(
        endpoint,
        case.clock,
        TransportSettings(ca_bundle=case.settings.ca_bundle, environ=case.environ),
    )
    # A call that lacks everything, so that it is refused at once and does nothing.
    empty = unsigned(
        endpoint, "ReportTaskRunnerHeartbeat", b"{}", user_agent=_INTRODUCTION.header()
    )
    started = case.clock.monotonic()
    try:
        reply = transport.send(empty, deadline_s=_ANSWER_S)
    except TransportError as error:
        yield failed("endpoint", f"{endpoint}: {error}", _NO_ANSWER)
        return
    finally:
        transport.close()
    yield _kind(case, endpoint, reply, case.clock.monotonic() - started)
    yield _clocks(case, reply)


_NO_NAME = (
    "check the endpoint for typing errors, the region if it is part of the name, and this host's "
    "name servers (/etc/resolv.conf); where only a proxy leads out, set HTTPS_PROXY or proxy_host"
)
_NO_LISTENER = (
    "start the service (`systemctl status taskrunner-serve` on its host, for one of ours), or "
    "correct the port in endpoint; running agents go on by themselves once it is there"
)
_NO_WAY = (
    "check this host's network, routes and firewalls (on EC2: the security groups and the subnet's "
    "route), and the endpoint; where only a proxy leads out, set HTTPS_PROXY or proxy_host"
)
_NO_ANSWER = "check that host and port are those of the service, and what stands between"
_NO_SERVICE = (
    "something else answers there: correct the endpoint, which is scheme, host and port of the "
    "service with no path, or look at what stands between"
)


def _kind(case: Case, endpoint: Endpoint, reply: HttpReply, took_s: float) -> Finding:
    if reply.status != 200:
        answer = classify("ReportTaskRunnerHeartbeat", endpoint, reply)
        if isinstance(answer, ServiceUnreachable):
            given = case.origins["endpoint"]
            remedy = _NO_SERVICE if given == "default" else f"{_NO_SERVICE} (it is set by {given})"
            return failed("endpoint", str(answer), remedy)
    how = "over TLS" if endpoint.scheme == "https" else "over plain http"
    found = f"{endpoint} answers {how}, within {took_s * 1000:.0f} ms"
    if took_s > _SLOW_S:
        return warned("endpoint", found, "calls take as long: look at the network between")
    return passed("endpoint", found)


def _clocks(case: Case, reply: HttpReply) -> Finding:
    try:
        skew = case.clock.now() - parsedate_to_datetime(reply.headers["date"])
    except (KeyError, ValueError, TypeError):
        return warned("clock", "the service does not say what time it is")
    seconds = abs(skew.total_seconds())
    direction = "ahead of" if skew > timedelta(0) else "behind"
    found = f"this host is {seconds:.0f} s {direction} the service"
    remedy = "set the clock right: `timedatectl set-ntp true`, or chrony"
    if abs(skew) >= _MOST_SKEW:
        return failed("clock", f"{found}; signatures are refused from 300 s on", remedy)
    return warned("clock", found, remedy) if abs(skew) >= _ODD_SKEW else passed("clock", found)


def _refused(host: str, port: int) -> tuple[str, str] | None:
    """Why no connection can be made, and what to do; None when one can."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"the name {host} cannot be resolved ({error.strerror})", _NO_NAME
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError as error:
        tried = ", ".join(sorted({str(address[4][0]) for address in addresses}))
        where = host if tried == host else f"{host} ({tried})"
        reason = (error.strerror or str(error)).lower()
        remedy = _NO_LISTENER if isinstance(error, ConnectionRefusedError) else _NO_WAY
        return f"no connection to port {port} of {where}: {reason}", remedy
    return None


def _shown_proxy(value: str) -> str:
    # A proxy may be named without the scheme.
    return hide_passwords(value if "//" in value else f"//{value}").removeprefix("//")


def unusable(error: TaskrunnerError) -> Finding:
    """The finding where not even a client can be made."""
    return failed("endpoint", str(error), "mend the setting; `taskrunner config check` tells more")
