"""`python -m taskrunner.cli.machine_key`: a machine of EC2 makes its key and tells the service.

The script in its user data calls it, once, before the agent starts; see docs/ec2.md.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskrunner.clock import Clock, SystemClock
from taskrunner.errors import TaskrunnerError
from taskrunner.wire.endpoint import Endpoint, parse_endpoint
from taskrunner.wire.http import HttpRequest, Transport, TransportError
from taskrunner.wire.keys import FixedKeys, Keys
from taskrunner.wire.machine_keys import KEY_BYTES, KEY_HEADER, PATH, TARGET, mask
from taskrunner.wire.signing import SigV4Signer
from taskrunner.wire.transport import TransportSettings, Urllib3Transport

_DEADLINE_S = 10.0
#: A service that restarts, or has not heard of the machine yet, is asked again.
_TRIES, _PAUSE_S = 30, 5.0


def main(argv: Sequence[str], environ: Mapping[str, str], clock: Clock) -> int:
    """ENDPOINT REGION ID FILE, and the token in KEY_TOKEN; the exit code."""
    endpoint, region, machine_id, file = argv
    try:
        machine = Machine(
            endpoint=parse_endpoint(endpoint),
            region=region,
            token=Keys(machine_id, environ["KEY_TOKEN"]),
            file=Path(file),
        )
        settings = TransportSettings(connections=1, environ=environ)
        machine.tell_key(Urllib3Transport(machine.endpoint, clock, settings), clock)
    except TaskrunnerError as error:
        print(f"taskrunner: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a machine was told of its service, and where its key is to be."""

    endpoint: Endpoint
    #: The service's.
    region: str
    token: Keys
    file: Path

    def tell_key(self, transport: Transport, clock: Clock) -> None:
        """Have the service take the key in the file, which is made first if it is not there.

        It stands there before it is sent: whoever is cut short says the same one again. Raises
        TaskrunnerError.
        """
        masked = mask(self.token.secret_key, _own_key(self.file))
        signer = SigV4Signer(FixedKeys(self.token), self.region, clock)
        headers = {
            "host": self.endpoint.authority,
            "x-amz-target": TARGET,
            KEY_HEADER: base64.urlsafe_b64encode(masked).decode(),
        }
        request = HttpRequest(path=self.endpoint.path.rstrip("/") + PATH, headers=headers)
        said, never = "", threading.Event()
        for _ in range(_TRIES):
            signed = HttpRequest(path=request.path, headers=signer.sign(request))
            try:
                reply = transport.send(signed, deadline_s=_DEADLINE_S)
            except TransportError as error:
                said = str(error)
            else:
                if reply.status == 200:
                    return
                said = f"HTTP {reply.status}: {reply.body[:300].decode('utf-8', 'replace')}"
                if b"AccessDenied" in reply.body:
                    break
            clock.wait(never, _PAUSE_S)
        raise TaskrunnerError(f"the service did not take this machine's key: {said}")


def _own_key(file: Path) -> bytes:
    if not file.exists():
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode())
            out.flush()
            os.fsync(out.fileno())
    return base64.urlsafe_b64decode(file.read_text(encoding="ascii").strip())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, SystemClock()))
