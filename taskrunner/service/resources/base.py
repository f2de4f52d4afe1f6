"""What stands behind an Ec2Resource or EmrCluster: something that starts a runner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from taskrunner.model.rows import InstanceRow


@dataclass(frozen=True, slots=True)
class ResourceFailure(Exception):
    """A resource could not be launched; the message says why."""

    message: str

    def __str__(self) -> str:
        return self.message


class ResourceProvider(Protocol):
    """Launches and ends the runner of a managed resource. Every call may be repeated."""

    def launch(self, row: InstanceRow) -> str:
        """Start what polls the resource's worker group; returns its handle (@resourceId).

        Raises ResourceFailure.
        """
        ...

    def alive(self, handle: str) -> bool:
        """Whether what the handle stands for is still there."""
        ...

    def end(self, handle: str) -> bool:
        """Ask for its end; true once nothing is left of it."""
        ...

    def reason(self, row: InstanceRow) -> str:
        """What is known of why the resource's runner ended: one line, empty when nothing is."""
        ...


class ExternalResources:
    """Nobody is launched: the operator starts a runner for the resource's worker group."""

    def launch(self, row: InstanceRow) -> str:
        """Name the worker group that a runner is waited for."""
        return f"external:{row.worker_group}"

    def alive(self, handle: str) -> bool:
        """Its silence is seen by the leases of its tasks."""
        return True

    def end(self, handle: str) -> bool:
        """Nothing to end."""
        return True

    def reason(self, row: InstanceRow) -> str:
        """Nobody is watched, so nothing is known."""
        return ""
