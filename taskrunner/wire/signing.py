"""Requests signed with the AWS credentials of this host."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from typing import Protocol

from taskrunner.clock import Clock
from taskrunner.wire.endpoint import Endpoint
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.keys import KeySource, find_keys
from taskrunner.wire.sigv4 import ALGORITHM, SERVICE, signature

#: What proxies may change on the way is not covered.
_UNSIGNED = frozenset({"user-agent"})
#: The date has no fractions: this tells two equal calls within a second from a call and its copy.
_INVOCATION = "amz-sdk-invocation-id"


class Signer(Protocol):
    """Adds what proves who sends a request."""

    def sign(self, request: HttpRequest) -> Mapping[str, str]:
        """Headers of the signed request, lower case; raises ServiceUnreachable."""
        ...


class SigV4Signer:
    """Signs by Signature Version 4, each time with the keys that are valid then."""

    def __init__(self, source: KeySource, region: str, clock: Clock) -> None:
        self.source = source
        self._region = region
        self._clock = clock

    def sign(self, request: HttpRequest) -> Mapping[str, str]:
        """Headers of the signed request, lower case.

        Raises ServiceUnreachable when credentials could not be renewed: the next call tries again.
        """
        keys = self.source.current()
        date = f"{self._clock.now():%Y%m%dT%H%M%SZ}"
        headers = {**request.headers, "x-amz-date": date, _INVOCATION: str(uuid.uuid4())}
        if keys.token is not None:
            headers["x-amz-security-token"] = keys.token
        signed = tuple(sorted(headers.keys() - _UNSIGNED))
        scope = f"{date[:8]}/{self._region}/{SERVICE}/aws4_request"
        dated = HttpRequest(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=headers,
            body=request.body,
        )
        proof = signature(keys.secret_key, dated, scope=scope, signed_headers=signed)
        headers["authorization"] = (
            f"{ALGORITHM} Credential={keys.access_key}/{scope}, "
            f"SignedHeaders={';'.join(signed)}, Signature={proof}"
        )
        return headers

    def describe(self) -> str:
        """Whose they are and which provider of the SDK's chain has them; no secret.

        Raises ServiceUnreachable when they could not be renewed.
        """
        key = self.source.current().access_key
        shown = f"{key[:4]}...{key[-4:]}" if key else "(empty)"
        return f"access key {shown}, found by {self.source.found_by}"


def find_signer(
    endpoint: Endpoint,
    *,
    region: str,
    clock: Clock,
    profile: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> SigV4Signer | None:
    """A signer with the keys that any AWS SDK would find; None when there are none.

    Raises ConfigError for a profile that is not there or a chain that is set up wrongly.
    """
    source = find_keys(loopback=endpoint.loopback, profile=profile, environ=environ)
    return None if source is None else SigV4Signer(source, region, clock)
