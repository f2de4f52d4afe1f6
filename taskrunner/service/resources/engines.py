"""EmrClusters in whose place something stands that is there: EMR Serverless, a Spark cluster.

Nothing is made but an agent on the service's host, where no worker group's agents send the work
there. What they send it to stands in the handle, which agents are told as @resourceId.
"""

from __future__ import annotations

from datetime import datetime

from taskrunner.model.rows import InstanceRow
from taskrunner.service.resources.agents import Starter
from taskrunner.service.resources.base import Launch, ResourceFailure, agents_of, with_agents
from taskrunner.service.resources.targets import Target, Where

#: What stands in a handle before that of the agent on the service's host.
_BY = "@process:"


class GivenEngines:
    """Names what is there, and starts the agents that use it."""

    def __init__(self, *, region: str, starter: Starter | None) -> None:
        """`region` is that of resources that name none; `starter` starts agents here."""
        self._region, self._starter = region, starter

    def launch(self, wanted: Launch) -> str:
        """Name what the rule names; start an agent for it. Raises ResourceFailure."""
        target, row = wanted.target, wanted.row
        name = f"{row.type} {row.component_id!r}"
        if target is None or row.worker_group is None:
            raise ResourceFailure(f"{name} has no worker group, or no rule is known for it")
        handle = f"{target.where}:{self._engine(wanted, target, name)}"
        if target.group:
            return with_agents(handle, target.group)
        if self._starter is None:
            raise ResourceFailure(f"{name}: no agents are started here")
        return f"{handle}@{self._starter.start(row.worker_group)}"

    def _engine(self, wanted: Launch, target: Target, name: str) -> str:
        if target.where is Where.SPARK:
            return target.engine
        role = target.role or (wanted.fields.string("resourceRole") or "").strip()
        try:
            role = target.run_as(role).role
        except ValueError as error:
            raise ResourceFailure(
                f"{name}, field resourceRole: {error}, or role = 'arn:...' in the rule",
                permanent=True,
            ) from None
        region = (wanted.fields.string("region") or "").strip() or self._region
        return f"{region}:{target.engine}:{role}"

    def alive(self, handle: str) -> bool:
        """Whether its agent runs; of a worker group's agents nothing is known."""
        process = _process(handle)
        return process is None or (self._starter is not None and self._starter.alive(process))

    def takes_work(self, handle: str) -> bool:
        """It is there."""
        return agents_of(handle) is not None

    def end(self, handle: str) -> bool:
        """Have its agent end; true once it has."""
        process = _process(handle)
        return process is None or self._starter is None or self._starter.end(process)

    def reason(self, row: InstanceRow) -> str:
        """Nothing more is known."""
        return ""

    def look_after(self, now: datetime) -> None:
        """Nothing."""


def _process(handle: str) -> str | None:
    """The handle of the agent on the service's host."""
    if agents_of(handle) is not None:
        return None
    _, found, number = handle.rpartition(_BY)
    return f"process:{number}" if found else None
