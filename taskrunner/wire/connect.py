"""A runner's client put together from settings: endpoint, credentials, transport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taskrunner.clock import Clock
from taskrunner.errors import ConfigError
from taskrunner.wire.client import Client
from taskrunner.wire.endpoint import resolve_endpoint, resolve_region
from taskrunner.wire.keys import FixedKeys, Keys
from taskrunner.wire.signing import SigV4Signer, find_signer
from taskrunner.wire.transport import TransportSettings, Urllib3Transport
from taskrunner.wire.user_agent import Introduction


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Which service, and as whom."""

    #: None: AWS_ENDPOINT_URL_DATA_PIPELINE, AWS_ENDPOINT_URL, else AWS's own in the region.
    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    allow_http: bool = False
    ca_bundle: Path | None = None
    #: Sign nothing, although there may be credentials: a local service that asks for none.
    unsigned: bool = False
    #: The key for the service alone; None: the one that any AWS SDK would find.
    keys: Keys | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def service_keys(access_id: str | None, secret_key: str | None) -> Keys | None:
    """The key for the service alone, if one is set. Raises ConfigError for half of one."""
    if access_id is not None and secret_key is None:
        raise ConfigError(
            f"service_access_id is {access_id!r}, and there is no service_secret_key: give it as a "
            "credential of the unit (LoadCredential=service_secret_key:PATH) or in a file"
        )
    return Keys(access_id, secret_key) if access_id and secret_key else None


def connect(
    settings: ClientSettings, clock: Clock, *, introduction: Introduction | None = None
) -> Client:
    """A client; nothing is sent yet. Raises ConfigError for settings that cannot be."""
    region = resolve_region(settings.region, settings.environ)
    endpoint = resolve_endpoint(
        settings.endpoint,
        region=region,
        environ=settings.environ,
        allow_http=settings.allow_http,
    )
    transport = Urllib3Transport(
        endpoint,
        clock,
        TransportSettings(ca_bundle=settings.ca_bundle, environ=settings.environ),
    )
    signer = None
    if settings.keys is not None:
        signer = SigV4Signer(FixedKeys(settings.keys, "settings"), region, clock)
    elif not settings.unsigned:
        signer = find_signer(
            endpoint,
            region=region,
            clock=clock,
            profile=settings.profile,
            environ=settings.environ,
        )
    give_up = transport.give_up
    return Client(
        endpoint,
        transport,
        signer=signer,
        clock=clock,
        give_up=give_up,
        introduction=introduction,
    )
