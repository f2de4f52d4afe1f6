"""What stands behind an Ec2Resource or EmrCluster: something that starts a runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from taskrunner.model.document import PipelineObject
from taskrunner.model.policy import Policy
from taskrunner.model.rows import InstanceRow
from taskrunner.service.resources.targets import Target
from taskrunner.service.store.database import Store

#: What stands in a handle before the worker group whose agents use what was launched.
_AGENTS = "#"


def with_agents(handle: str, group: str) -> str:
    """A handle that names the worker group whose agents use it; none: an agent of its own does."""
    return f"{handle}{_AGENTS}{group}" if group else handle


def agents_of(handle: str | None) -> str | None:
    """The worker group that a handle names."""
    return (handle or "").partition(_AGENTS)[2] or None


@dataclass(frozen=True, slots=True)
class ResourceFailure(Exception):
    """A resource could not be launched; the message says why."""

    message: str
    #: Whether another try would fail in the same way: the definition is at fault.
    permanent: bool = False
    #: Whether another try is to wait for retryDelay.
    wait: bool = False

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class ResourceBusy(Exception):
    """Nothing can be told of a launch for now; it is to be asked for again, at no charge."""

    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A resource that is wanted, with all that its definition says of it."""

    row: InstanceRow
    #: What the rules say of it; None: there are no rules.
    target: Target | None = None
    #: The resource with its fields evaluated, and what they lead to, by id.
    fields: PipelineObject
    referred: Mapping[str, PipelineObject] = field(default_factory=dict)
    policy: Policy
    #: The pipeline's.
    account: str
    pipeline: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_last(self) -> bool:
        """Whether no retry is left after this one."""
        return self.row.failures >= self.policy.maximum_retries


class ResourceProvider(Protocol):
    """Launches and ends the runner of a managed resource. Every call may be repeated."""

    def launch(self, wanted: Launch) -> str:
        """Start what polls the resource's worker group; returns its handle (@resourceId).

        Raises ResourceFailure or ResourceBusy.
        """
        ...

    def alive(self, handle: str) -> bool:
        """Whether what the handle stands for is still there."""
        ...

    def takes_work(self, handle: str) -> bool:
        """Whether agents of a worker group may use it now, as they ask for no work of its own."""
        ...

    def end(self, handle: str) -> bool:
        """Ask for its end; true once nothing is left of it."""
        ...

    def reason(self, row: InstanceRow) -> str:
        """What is known of why the resource's runner ended: one line, empty when nothing is."""
        ...

    def look_after(self, now: datetime) -> None:
        """What is to be done now and then, whatever resources there are; called each round."""
        ...


#: Makes a provider that keeps its own notes in the service's store.
MakeProvider = Callable[[Store], ResourceProvider]


class ExternalResources:
    """Nobody is launched: the operator starts a runner for the resource's worker group."""

    def launch(self, wanted: Launch) -> str:
        """Name the worker group that a runner is waited for."""
        return f"external:{wanted.row.worker_group}"

    def alive(self, handle: str) -> bool:
        """Its silence is seen by the leases of its tasks."""
        return True

    def takes_work(self, handle: str) -> bool:
        """Who is waited for asks for work."""
        return False

    def end(self, handle: str) -> bool:
        """Nothing to end."""
        return True

    def reason(self, row: InstanceRow) -> str:
        """Nobody is watched, so nothing is known."""
        return ""

    def look_after(self, now: datetime) -> None:
        """Nothing."""


def made(provider: ResourceProvider | MakeProvider | None, store: Store) -> ResourceProvider:
    """The provider of a service over this store; without one, nobody is launched."""
    if provider is None:
        return ExternalResources()
    return provider(store) if callable(provider) else provider
