"""/livez, /readyz and /metrics of the service: for whoever watches it."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from taskrunner.errors import StoreError
from taskrunner.service.gauges import Gauges
from taskrunner.service.store.database import Store

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: A duty that has not ended a step for so long hangs. One may wait for the store for half a minute,
#: or for many targets of alarms that do not answer.
LONGEST_STEP_S = 600.0
#: What proxies add: who comes by one is not of this host, though the connection is.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is told of, and to whom."""

    store: Store
    gauges: Gauges
    #: Duties that hang, if they have been so for this many seconds.
    stuck: Callable[[float], Sequence[str]]
    is_stopping: Callable[[], bool]
    #: What opens the metrics to other hosts; None: nothing does.
    token: str | None = None


def routes(watched: Watched) -> list[Route]:
    """Where it is told."""

    async def livez(_request: Request) -> Response:
        return _said(alive(watched))

    async def readyz(_request: Request) -> Response:
        return _said(await asyncio.to_thread(ready, watched))

    async def metrics(request: Request) -> Response:
        host = request.client.host if request.client else ""
        if not may_read(host, request.headers, watched.token):
            return PlainTextResponse(
                "the metrics are for this host, and for whoever has the token of "
                "--metrics-token-file (Authorization: Bearer ...)\n",
                status_code=403,
            )
        try:
            text = await asyncio.to_thread(watched.gauges.text)
        except StoreError as error:
            return PlainTextResponse(f"{error.trouble}\n", status_code=503)
        return Response(text, media_type=METRICS_TYPE)

    return [
        Route("/livez", endpoint=livez, methods=["GET"]),
        Route("/ping", endpoint=livez, methods=["GET"]),
        Route("/readyz", endpoint=readyz, methods=["GET"]),
        Route("/metrics", endpoint=metrics, methods=["GET"]),
    ]


def alive(watched: Watched) -> str | None:
    """Why the service is to be restarted; None: it is well."""
    stuck = watched.stuck(LONGEST_STEP_S)
    return f"hangs for {LONGEST_STEP_S:g} s: {', '.join(stuck)}" if stuck else None


def ready(watched: Watched) -> str | None:
    """Why calls are better sent elsewhere; None: they are answered."""
    if watched.is_stopping():
        return "the service stops"
    try:
        with watched.store.read():
            pass
    except StoreError as error:
        return str(error.trouble)
    trouble = watched.store.trouble
    return alive(watched) if trouble is None else str(trouble)


def may_read(host: str, headers: Mapping[str, str], token: str | None) -> bool:
    """Whether a client may read the metrics, which tell of worker groups and loads."""
    given = headers.get("authorization", "")
    if token is not None and hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return True
    return _is_this_host(host) and not any(name in headers for name in _FORWARDED)


def _is_this_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _said(reason: str | None) -> Response:
    return PlainTextResponse(f"{reason or 'ok'}\n", status_code=503 if reason else 200)
