"""Requests signed with the AWS credentials of this host, by botocore, found as any SDK finds them.

botocore is imported here only and when first needed: it is most of an agent's start-up time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from taskrunner.errors import ConfigError, ServiceUnreachable
from taskrunner.wire.endpoint import Endpoint
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.sigv4 import SERVICE

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials

__all__ = ["SigV4Signer", "Signer", "find_signer"]


class Signer(Protocol):
    """Adds what proves who sends a request."""

    def sign(self, request: HttpRequest) -> Mapping[str, str]:
        """Headers of the signed request, lower case; raises ServiceUnreachable."""
        ...


class SigV4Signer:
    """Signs by Signature Version 4; credentials that expire are renewed by botocore."""

    def __init__(self, credentials: Credentials, endpoint: Endpoint, region: str) -> None:
        self._credentials = credentials
        self._endpoint = endpoint
        self._region = region
        self._last: ReadOnlyCredentials | None = None

    def sign(self, request: HttpRequest) -> Mapping[str, str]:
        """Headers of the signed request, lower case.

        Raises ServiceUnreachable when credentials could not be renewed: the next call tries again.
        """
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        url = f"{self._endpoint.scheme}://{self._endpoint.authority}{request.path}"
        signed = AWSRequest(
            method=request.method, url=url, headers=dict(request.headers), data=request.body
        )
        SigV4Auth(self._current(), SERVICE, self._region).add_auth(signed)
        return {name.lower(): value for name, value in signed.headers.items()}

    def _current(self) -> ReadOnlyCredentials:
        from botocore.credentials import RefreshableCredentials
        from botocore.exceptions import BotoCoreError

        credentials = self._credentials
        try:
            self._last = credentials.get_frozen_credentials()
        except BotoCoreError as error:
            # Renewal begins long before the end: until then a gap in their source costs nothing.
            over = not isinstance(credentials, RefreshableCredentials) or (
                credentials.refresh_needed(refresh_in=0)
            )
            if self._last is None or over:
                message = f"AWS credentials could not be renewed: {error}"
                raise ServiceUnreachable(message) from error
        return self._last

    def describe(self) -> str:
        """Whose they are and which provider of botocore's chain has them; no secret.

        Raises ServiceUnreachable when they could not be renewed.
        """
        from botocore.exceptions import BotoCoreError

        try:
            key = self._credentials.get_frozen_credentials().access_key
        except BotoCoreError as error:
            raise ServiceUnreachable(f"AWS credentials could not be renewed: {error}") from error
        shown = f"{key[:4]}...{key[-4:]}" if key else "(empty)"
        return f"access key {shown}, found by {self._credentials.method}"


def find_signer(
    endpoint: Endpoint, *, region: str, profile: str | None = None
) -> SigV4Signer | None:
    """A signer with the credentials of botocore's chain; None when there are none.

    Raises ConfigError for a profile that is not there or a chain that is set up wrongly.
    """
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        session = Session(profile=profile)
        if endpoint.loopback:
            # Nobody waits for the metadata service of EC2 to speak to their own machine.
            session.set_config_variable("metadata_service_num_attempts", 0)
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise ConfigError(f"AWS credentials cannot be used: {error}") from error
    return None if credentials is None else SigV4Signer(credentials, endpoint, region)
