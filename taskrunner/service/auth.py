"""Who calls, and what they may: decided for each request before it is carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from taskrunner.clock import Clock
from taskrunner.service.auth_keys import Key
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.wire.faults import AccessDenied
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.sigv4 import Verifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """A caller and the limits of what it may do; None: no limit."""

    caller: Caller
    actions: frozenset[str] | None = None

    def check_action(self, operation: str) -> None:
        """Raise AccessDenied unless the caller may call the operation."""
        if self.actions is not None and operation not in self.actions:
            raise AccessDenied(
                f"User: {self.caller.user} is not authorized to perform: datapipeline:{operation}"
            )

    def check_request(self, request: object) -> None:
        """Raise AccessDenied where the request names a worker group that is not the caller's."""
        group, groups = getattr(request, "worker_group", None), self.caller.worker_groups
        if groups is not None and group is not None and group not in groups:
            raise AccessDenied(
                f"User: {self.caller.user} is not authorized for the worker group {group!r}"
            )


class Authenticator(Protocol):
    """Tells who sent a request."""

    def authenticate(self, request: HttpRequest) -> Permit:
        """The sender's permit; raises a ServiceFault when it cannot be told."""
        ...


class NoAuthenticator:
    """Takes everyone for the same anonymous user: for loopback only."""

    def authenticate(self, request: HttpRequest) -> Permit:
        """The permit to do anything."""
        return Permit(caller=ANONYMOUS)


class SigV4Authenticator:
    """Wants every request signed by one of the keys."""

    def __init__(self, keys: Mapping[str, Key], *, region: str, clock: Clock) -> None:
        self._keys = keys
        self._verifier = Verifier(self._secret_of, region=region, clock=clock)

    def authenticate(self, request: HttpRequest) -> Permit:
        """The permit of the key that signed; raises a ServiceFault without a right signature."""
        key = self._keys[self._verifier.verify(request)]
        return Permit(
            caller=Caller(account=key.account, user=key.user, worker_groups=key.worker_groups),
            actions=key.actions,
        )

    def _secret_of(self, key_id: str) -> str | None:
        key = self._keys.get(key_id)
        return key.secret if key else None
