"""The instance metadata service, version 2 only: each read carries a token that a PUT has given.

It is asked without any proxy, and each request has a second: on the instance it answers in
milliseconds or not at all.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from taskrunner.clock import Clock
from taskrunner.errors import ConfigError
from taskrunner.wire.endpoint import Endpoint, parse_endpoint
from taskrunner.wire.http import HttpReply, HttpRequest, Transport, TransportError
from taskrunner.wire.proxies import METADATA
from taskrunner.wire.transport import TransportSettings, Urllib3Transport

_TOKEN_PATH = "/latest/api/token"  # noqa: S105  a path
_TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105  a name
_TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
_TTL_S = 21_600
#: A token is changed when it has a tenth of its life left.
_RENEW_AFTER = 0.9
_DEADLINE_S = 1.0


class NoMetadata(Exception):
    """The metadata service gave no usable answer; the message says why in a few words."""


class Metadata:
    """Reads metadata; safe for threads."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._token: tuple[str, float] | None = None
        self._lock = threading.Lock()

    def get(self, path: str) -> str | None:
        """The text at a path; None when there is none (404). Raises NoMetadata."""
        reply = self._read(path)
        if reply.status == 401:
            # A token does not outlive a restart of the service: take a new one, once.
            self._token = None
            reply = self._read(path)
        if reply.status == 404:
            return None
        return _text(reply, f"GET {path}")

    def _read(self, path: str) -> HttpReply:
        headers = {_TOKEN_HEADER: self._current_token()}
        return self._send(HttpRequest(method="GET", path=path, headers=headers))

    def _current_token(self) -> str:
        with self._lock:
            now = self._clock.monotonic()
            if self._token is None or now >= self._token[1]:
                self._token = None
                self._token = self._new_token(now)
            return self._token[0]

    def _new_token(self, now: float) -> tuple[str, float]:
        request = HttpRequest(method="PUT", path=_TOKEN_PATH, headers={_TTL_HEADER: str(_TTL_S)})
        try:
            reply = self._send(request)
        except NoMetadata as error:
            # The answer to this request, and to no other, is dropped after so many hops.
            raise NoMetadata(
                f"{error} (in a container, the instance's metadata option "
                "HttpPutResponseHopLimit must be 2 at least)"
            ) from error
        token = _text(reply, "PUT token").strip()
        try:
            life_s = min(float(reply.headers.get(_TTL_HEADER, _TTL_S)), _TTL_S)
        except ValueError:
            life_s = _TTL_S
        return token, now + life_s * _RENEW_AFTER

    def _send(self, request: HttpRequest) -> HttpReply:
        try:
            return self._transport.send(request, deadline_s=_DEADLINE_S)
        except TransportError as error:
            raise NoMetadata(f"no answer to {request.method} {request.path}: {error}") from error


def _text(reply: HttpReply, what: str) -> str:
    if reply.status != 200:
        raise NoMetadata(f"HTTP {reply.status} to {what}")
    return reply.body.decode("utf-8", "replace")


def metadata_endpoint(environ: Mapping[str, str]) -> Endpoint | None:
    """Where the metadata service is, by the variables of the AWS SDKs; None when it is disabled.

    Raises ConfigError for an address that is none.
    """
    if environ.get("AWS_EC2_METADATA_DISABLED", "").strip().lower() == "true":
        return None
    if given := environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        try:
            return parse_endpoint(given)
        except ConfigError as error:
            raise ConfigError(f"AWS_EC2_METADATA_SERVICE_ENDPOINT: {error}") from None
    mode = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").strip().lower()
    return Endpoint(scheme="http", host=METADATA[mode == "ipv6"], port=80)


def connect_metadata(endpoint: Endpoint, clock: Clock) -> Metadata:
    """A client; nothing is sent yet."""
    return Metadata(Urllib3Transport(endpoint, clock, TransportSettings(connections=2)), clock)
