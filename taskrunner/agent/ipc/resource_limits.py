"""What one task may use, and how far that can be held on this host."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import dataclass, field

from taskrunner.host.cgroups import Bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLimits:
    """The settings `task_...` that concern processes."""

    #: For all of a task together, where control groups hold them.
    bounds: Bounds = field(default_factory=Bounds)
    #: Bytes of any one file.
    file_size: int | None = None
    #: The controllers that the agent's groups have.
    controllers: frozenset[str] = frozenset()

    def unheld(self, *, other_users: bool) -> Iterator[str]:
        """Which limits this host cannot enforce fully, and what is enforced instead.

        `other_users`: whether tasks run as other users than the agent.
        """
        bounds = self.bounds
        if bounds.memory is not None and "memory" not in self.controllers:
            yield "task_memory holds for each process of a task, not for all of them together"
        if bounds.cpus is not None and "cpu" not in self.controllers:
            yield "task_cpus is not held"
        if bounds.processes is not None and "pids" not in self.controllers:
            shared = "holds for all tasks of a run_as_user together"
            yield f"task_processes {shared if other_users else 'is not held'}"

    def limit_attempt(self) -> None:
        """Bound this process, and with it each that it starts, in what no group bounds."""
        if self.file_size is not None:
            _lower(resource.RLIMIT_FSIZE, self.file_size)
        if self.bounds.memory is not None and "memory" not in self.controllers:
            # What is private and written to. The address space would be no measure: virtual
            # machines and allocators reserve much of it that they never use.
            _lower(resource.RLIMIT_DATA, self.bounds.memory)

    @property
    def command_processes(self) -> int | None:
        """How many processes the user of a command may have, where no group bounds them."""
        return None if "pids" in self.controllers else self.bounds.processes


def _lower(limit: int, value: int) -> None:
    """Set a limit for good; one that is lower already stays."""
    _, highest = resource.getrlimit(limit)
    bound = value if highest == resource.RLIM_INFINITY else min(value, highest)
    resource.setrlimit(limit, (bound, bound))
