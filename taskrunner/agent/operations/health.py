"""/livez, /readyz and /metrics over HTTP, for whoever watches the host; off unless asked for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from taskrunner.agent.operations.status import Health
from taskrunner.config.kinds import Address
from taskrunner.errors import ConfigError
from taskrunner.logs import get_logger

log = get_logger()

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """Where the answers come from."""

    live: Callable[[], Health]
    ready: Callable[[], Health]
    metrics: Callable[[], str]


class HealthServer:
    """One request after another, in one thread; a client that is silent is cut off."""

    def __init__(self, address: Address, probes: Probes) -> None:
        """Raises ConfigError when the address cannot be listened on."""
        self._routes: Mapping[str, Callable[[], tuple[int, str, str]]] = {
            "/livez": lambda: _answer(probes.live()),
            "/readyz": lambda: _answer(probes.ready()),
            "/metrics": lambda: (200, _METRICS_TYPE, probes.metrics()),
        }
        self._server = _server(address, _handler(self._routes))
        host, port = self._server.server_address[:2]
        self.address = Address(str(host), int(port))

    def loop(self) -> None:
        """Serve until the process ends."""
        while True:
            self._server.handle_request()

    def close(self) -> None:
        """Listen no more."""
        self._server.server_close()


def _answer(health: Health) -> tuple[int, str, str]:
    return (200 if health.ok else 503), _TEXT, health.why + "\n"


class _Server(HTTPServer):
    # Whoever scrapes comes back; a port in TIME_WAIT must not keep a restarted agent down.
    allow_reuse_address = True
    request_queue_size = 8

    def server_bind(self) -> None:
        """Without the base's look-up of the host's own name, which may take a name server."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, _request: object, _address: object) -> None:
        """A client that left, or sent nonsense, is no concern of the operator's."""
        log.debug("health request failed")


def _server(address: Address, handler: type[BaseHTTPRequestHandler]) -> HTTPServer:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    kind = type("_Server", (_Server,), {"address_family": family})
    try:
        server: HTTPServer = kind(tuple(address), handler)
    except OSError as error:
        message = f"--health-listen {address}: cannot listen there: {error.strerror or error}"
        raise ConfigError(message) from None
    return server


def _handler(
    routes: Mapping[str, Callable[[], tuple[int, str, str]]],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        #: Seconds that a client has for each line of its request.
        timeout = 5
        server_version = "taskrunner"
        sys_version = ""

        def do_GET(self) -> None:
            """Answer a probe."""
            route = routes.get(self.path.partition("?")[0])
            known = " ".join(routes)
            status, kind, text = route() if route else (404, _TEXT, f"wanted: {known}\n")
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815  the base class looks for these names

        def log_message(self, *_arguments: Any) -> None:
            """Probes come each few seconds: they are not news."""

    return Handler
