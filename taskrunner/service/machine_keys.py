"""The access keys of machines that the service made: each is the machine's own, made there.

A machine's user data hold a token, which every task of the machine can read. With it the machine
says once, before it asks for work, which key it has made for itself; from then on the token opens
nothing. So that nobody on the way learns the key where there is no TLS, it is sent under a mask
that only the token's holder can take off.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from taskrunner.clock import Clock
from taskrunner.errors import ServiceFault
from taskrunner.logs import get_logger
from taskrunner.service.auth_keys import ROLES, Key
from taskrunner.service.replies import fault_reply, new_request_id
from taskrunner.service.store import machines as machine_store
from taskrunner.service.store.database import Store
from taskrunner.wire.faults import AccessDenied
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.machine_keys import KEY_BYTES, KEY_HEADER, PATH, mask
from taskrunner.wire.sigv4 import Verifier

log = get_logger()


class MachineKeys(Mapping[str, Key]):
    """The keys of machines that have said them, by the machines' ids."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: Mapping[str, Key] = {}
        #: Tokens of machines that have said no key yet.
        self._tokens: Mapping[str, str] = {}

    def __getitem__(self, key_id: str) -> Key:
        """The key of an id; raises KeyError."""
        return self._keys[key_id]

    def __iter__(self) -> Iterator[str]:
        """The ids of all keys."""
        return iter(self._keys)

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._keys)

    def refresh(self) -> None:
        """Take note of machines that have come and gone."""
        with self._store.read() as conn:
            rows = [row for row in machine_store.everything(conn) if not row.ended]
        self._tokens = {row.machine_id: row.token for row in rows}
        self._keys = {
            row.machine_id: Key(
                id=row.machine_id,
                secret=row.secret,
                user=row.machine_id,
                account=row.account,
                actions=ROLES["runner"],
                worker_groups=frozenset({row.worker_group}),
            )
            for row in rows
            if row.secret is not None
        }

    def token(self, machine_id: str) -> str | None:
        """What a machine's user data hold."""
        return self._tokens.get(machine_id)

    def claim(self, machine_id: str, secret: str) -> None:
        """Take a machine's key. Raises AccessDenied when it has another one already."""
        with self._store.write() as conn:
            taken = machine_store.claim(conn, machine_id, secret)
        if not taken:
            log.warning("a machine's token was used a second time", machine_id=machine_id)
            raise AccessDenied(f"{machine_id} has said its key already, and its token is spent")
        self.refresh()


def claim_route(keys: MachineKeys, *, region: str, clock: Clock) -> Route:
    """Where machines say their keys: signed with their token, all in the headers."""
    verifier = Verifier(keys.token, region=region, clock=clock)

    def claim(request: Request) -> ASGIApp:
        request_id = new_request_id()
        try:
            message = HttpRequest(
                method=request.method,
                path=request.url.path,
                query=request.url.query,
                headers=dict(request.headers),
                body=b"",
            )
            machine_id = verifier.verify(message)
            secret = _unmasked(keys.token(machine_id) or "", message.headers.get(KEY_HEADER, ""))
            keys.claim(machine_id, secret)
        except ServiceFault as fault:
            return fault_reply(fault, request_id=request_id)
        log.info("a machine has its key", machine_id=machine_id)
        return JSONResponse({})

    return Route(PATH, endpoint=claim, methods=["POST"])


def _unmasked(token: str, text: str) -> str:
    """The key that was sent; raises AccessDenied for what is none."""
    try:
        masked = base64.urlsafe_b64decode(text)
    except ValueError:
        masked = b""
    if len(masked) != KEY_BYTES:
        raise AccessDenied(f"wanted {KEY_BYTES} bytes in the header {KEY_HEADER}")
    return base64.urlsafe_b64encode(mask(token, masked)).decode()
