"""How this agent's tasks are kept apart, from its settings and from what this host can do."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taskrunner.agent.ipc.resource_limits import ResourceLimits
from taskrunner.host.cgroups import Bounds, Groups, NoGroups, find_groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What holds for every attempt of this agent."""

    limits: ResourceLimits
    groups: Groups | None
    #: Why there are none.
    no_groups: str = ""

    @classmethod
    def prepare(cls, bounds: Bounds, *, file_size: int | None, work_dir: Path) -> Isolation:
        """Make ready for control groups; called by the agent while it is one process."""
        # The name tells this agent's groups from another's, before a restart and after it.
        prefix = f"taskrunner-{zlib.crc32(str(work_dir).encode()):08x}-"
        groups, reason = None, ""
        try:
            groups = find_groups(prefix, bounds)
        except NoGroups as error:
            reason = str(error)
        controllers = groups.controllers if groups is not None else frozenset[str]()
        limits = ResourceLimits(bounds=bounds, file_size=file_size, controllers=controllers)
        return cls(limits=limits, groups=groups, no_groups=reason)

    def warnings(self, *, other_users: bool) -> Iterator[str]:
        """What the settings ask for and this host cannot hold, with the remedy."""
        reason = self.no_groups
        if not reason and self.groups is not None:
            reason = f"controllers are not handed down to {self.groups.base}"
        for what in self.limits.unheld(other_users=other_users):
            yield (
                f"{what}: {reason}; run the agent as the unit of `taskrunner install-service`, "
                "on a host with control groups of version 2"
            )
