"""Agents of the service's host for resources whose work is done elsewhere, such as by a cluster.

An agent that ends is started again: what it worked for is still there.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from taskrunner.logs import get_logger

log = get_logger()


class Starter(Protocol):
    """What starts agents here: `LocalProcesses`."""

    def start(self, worker_group: str) -> str:
        """Start one; returns its handle. Raises ResourceFailure."""
        ...

    def alive(self, handle: str) -> bool:
        """Whether it runs."""
        ...

    def end(self, handle: str) -> bool:
        """Ask it to drain; true once it has ended."""
        ...


class HostAgents:
    """One agent for each worker group that wants one."""

    def __init__(self, starter: Starter | None) -> None:
        """Without a starter none is started here."""
        self._starter = starter
        self._handles: dict[str, str] = {}

    def keep(self, worker_group: str) -> None:
        """See to it that an agent runs. Raises ResourceFailure."""
        if self._starter is None:
            return
        handle = self._handles.get(worker_group)
        if handle is not None and self._starter.alive(handle):
            return
        if handle is not None:
            log.warning("an agent ended and is started again", worker_group=worker_group)
        self._handles[worker_group] = self._starter.start(worker_group)

    def end(self, worker_group: str) -> bool:
        """Have it end; true once there is none."""
        handle = self._handles.get(worker_group)
        if handle is None or self._starter is None or self._starter.end(handle):
            self._handles.pop(worker_group, None)
            return True
        return False

    def end_others(self, wanted: Collection[str]) -> None:
        """Have those of other groups end: another service may have ended what they work for."""
        for worker_group in self._handles.keys() - set(wanted):
            self.end(worker_group)

    @property
    def can_start(self) -> bool:
        """Whether agents are started here."""
        return self._starter is not None
