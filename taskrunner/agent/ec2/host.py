"""The EC2 instance that the agent runs on: whether it is one, its signed identity, its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from taskrunner.agent.ec2.imds import Metadata, NoMetadata, connect_metadata, metadata_endpoint
from taskrunner.clock import Clock
from taskrunner.logs import get_logger
from taskrunner.wire.api import InstanceIdentity

log = get_logger()

_DOCUMENT = "/latest/dynamic/instance-identity/document"
_SIGNATURE = "/latest/dynamic/instance-identity/signature"
#: The API asks for the public name; an instance that has none is known by its private one.
_NAMES = ("/latest/meta-data/public-hostname", "/latest/meta-data/local-hostname")
#: What the API takes of either part.
_LONGEST = 1024
_AGAIN_S = 60.0


class Ec2Host:
    """What the metadata service says of the instance; read once, for none of it ever changes."""

    def __init__(self, metadata: Metadata, clock: Clock) -> None:
        self.metadata = metadata
        self.hostname: str | None = None
        self._clock = clock
        self._identity: InstanceIdentity | None = None
        self._settled = False
        self._next_try = 0.0

    def identity(self) -> InstanceIdentity | None:
        """The signed identity document, to be sent with a poll; None while it is not known."""
        return self._identity

    def read(self) -> None:
        """Ask for what is not known yet; a minute passes between two tries that bring nothing."""
        now = self._clock.monotonic()
        if self._settled or now < self._next_try:
            return
        try:
            self._identity = self._read_identity()
            self.hostname = self._read_hostname()
        except NoMetadata as error:
            self._next_try = now + _AGAIN_S
            log.warning("the instance's identity is not known", error=str(error))
        else:
            self._settled = True

    def _read_identity(self) -> InstanceIdentity | None:
        document = self.metadata.get(_DOCUMENT)
        signature = self.metadata.get(_SIGNATURE)
        if not document or not signature:
            return None
        if max(len(document), len(signature)) > _LONGEST:
            log.warning("the identity document is longer than PollForTask takes: not sent")
            return None
        return InstanceIdentity(document=document, signature=signature)

    def _read_hostname(self) -> str | None:
        names = (self.metadata.get(path) for path in _NAMES)
        return next((name.strip() for name in names if name and name.strip()), None)


def find_host(mode: str, environ: Mapping[str, str], clock: Clock) -> Ec2Host | None:
    """The instance, by the setting `ec2`; None when this is none, or its metadata is disabled.

    `auto` sends nothing to find out, so a host elsewhere waits for nothing: the firmware's tables
    tell, or an address for the metadata service that somebody has set.
    """
    endpoint = metadata_endpoint(environ)
    if mode == "off" or endpoint is None:
        return None
    told = bool(environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT"))
    if mode == "auto" and not told and not firmware_says_ec2():
        return None
    host = Ec2Host(connect_metadata(endpoint, clock), clock)
    host.read()
    return host


def firmware_says_ec2(sys: Path = Path("/sys")) -> bool:
    """Whether the firmware names Amazon EC2 as the maker of this machine (Nitro), or Xen does."""
    return _read(sys / "class/dmi/id/sys_vendor") == "Amazon EC2" or _read(
        sys / "hypervisor/uuid"
    ).lower().startswith("ec2")


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
