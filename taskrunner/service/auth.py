"""Who calls, and what they may: decided for each request before it is carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from taskrunner.clock import Clock
from taskrunner.service.auth_keys import Key
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.service.store.audit import Actor
from taskrunner.wire.faults import AccessDenied, UnknownClient
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.inputs import ActivatePipelineInput
from taskrunner.wire.sigv4 import Proof, Verifier

#: Whoever may call it may say what a pipeline runs.
PUT = "PutPipelineDefinition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """A caller and the limits of what it may do; None: no limit."""

    caller: Caller
    actions: frozenset[str] | None = None
    #: The key as it was then; None: no key was needed.
    key: Key | None = None
    #: Which request the permit is for; None: nothing tells it from its copies.
    proof: Proof | None = None
    #: Where the request came from; None: it was not said.
    address: str | None = None

    def sent_from(self, address: str) -> Permit:
        """The same for a request that came from an address."""
        # Not `replace`, which takes thrice as long: every call has one.
        return Permit(
            caller=self.caller,
            actions=self.actions,
            key=self.key,
            proof=self.proof,
            address=address,
        )

    def actor(self, operation: str, now: datetime) -> Actor:
        """Who it is, for the audit."""
        return Actor(
            at=now,
            account=self.caller.account,
            user=self.caller.user,
            key_id=self.key.id if self.key else None,
            address=self.address,
            operation=operation,
        )

    @property
    def holder(self) -> str:
        """Whose share of the service the call takes."""
        return self.key.id if self.key else self.caller.user

    def check_action(self, operation: str) -> None:
        """Raise AccessDenied unless the caller may call the operation."""
        if self.actions is not None and operation not in self.actions:
            raise AccessDenied(
                f"User: {self.caller.user} is not authorized to perform: datapipeline:{operation}"
            )

    def check_request(self, request: object) -> None:
        """Raise AccessDenied where the request asks for more than the action alone allows.

        That is a worker group that is not the caller's, or values of parameters by somebody who
        may not put definitions: they get into commands, and may name any secret.
        """
        if isinstance(request, ActivatePipelineInput) and request.parameter_values:
            self._check_values()
        group, groups = getattr(request, "worker_group", None), self.caller.worker_groups
        if groups is not None and group is not None and group not in groups:
            raise AccessDenied(
                f"User: {self.caller.user} is not authorized for the worker group {group!r}"
            )

    def _check_values(self) -> None:
        if self.actions is not None and PUT not in self.actions:
            raise AccessDenied(
                f"User: {self.caller.user} is not authorized to perform: datapipeline:"
                f"ActivatePipeline with parameterValues, which takes datapipeline:{PUT}"
            )


class Authenticator(Protocol):
    """Tells who sent a request."""

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Raise a ServiceFault when these headers cannot be those of a permitted request."""
        ...

    def authenticate(self, request: HttpRequest) -> Permit:
        """The sender's permit; raises a ServiceFault when it cannot be told."""
        ...

    def permit_of(self, key_id: str) -> Permit:
        """The permit of a key's holder who is known otherwise; raises UnknownClient."""
        ...

    def refresh(self) -> None:
        """Take note of keys that have changed; to be called about once a second."""
        ...

    def check_still(self, permit: Permit) -> bool:
        """Whether the permit's key is what it was; raises a ServiceFault when it is gone."""
        ...


class NoAuthenticator:
    """Takes everyone for the same anonymous user: for loopback only."""

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Any are right."""

    def authenticate(self, request: HttpRequest) -> Permit:
        """The permit to do anything."""
        return Permit(caller=ANONYMOUS)

    def permit_of(self, key_id: str) -> Permit:
        """There are no keys: raises UnknownClient."""
        raise UnknownClient(f"The access key {key_id} is not known here.")

    def refresh(self) -> None:
        """There are no keys."""

    def check_still(self, permit: Permit) -> bool:
        """It is for ever."""
        return True


class SigV4Authenticator:
    """Wants every request signed by one of the keys."""

    def __init__(
        self,
        keys: Mapping[str, Key],
        *,
        region: str,
        clock: Clock,
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        """`keys` may change at any time; `refresh` has them changed."""
        self._keys: list[Mapping[str, Key]] = [keys]
        self._refreshes = [refresh]
        self._verifier = Verifier(self._secret_of, region=region, clock=clock)

    def know(self, keys: Mapping[str, Key], refresh: Callable[[], None]) -> None:
        """Take more keys; of an id that is known already, the first ones count."""
        self._keys.append(keys)
        self._refreshes.append(refresh)

    def has_keys(self) -> bool:
        """Whether anybody could call."""
        return any(self._keys)

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Raise a ServiceFault when these headers cannot be those of a permitted request."""
        self._verifier.check_headers(headers)

    def authenticate(self, request: HttpRequest) -> Permit:
        """The permit of the key that signed; raises a ServiceFault without a right signature."""
        proof = self._verifier.prove(request)
        return replace(self.permit_of(proof.key_id), proof=proof)

    def permit_of(self, key_id: str) -> Permit:
        """The permit of a key's holder who is known otherwise; raises UnknownClient."""
        key = self._key(key_id)
        caller = Caller(account=key.account, user=key.user, worker_groups=key.worker_groups)
        return Permit(caller=caller, actions=key.actions, key=key)

    def refresh(self) -> None:
        """Take note of keys that have changed."""
        for refresh in self._refreshes:
            refresh()

    def check_still(self, permit: Permit) -> bool:
        """Whether the permit's key is what it was; raises UnknownClient when it is gone."""
        return permit.key is None or self._key(permit.key.id) == permit.key

    def _key(self, key_id: str) -> Key:
        key = self._found(key_id)
        if key is None:
            raise UnknownClient(f"The access key {key_id} is not known here any more.")
        return key

    def _secret_of(self, key_id: str) -> str | None:
        key = self._found(key_id)
        return key.secret if key else None

    def _found(self, key_id: str) -> Key | None:
        return next((keys[key_id] for keys in self._keys if key_id in keys), None)
