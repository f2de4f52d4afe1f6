"""Worker groups and agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.console.views import addresses
from taskrunner.console.views.moments import moment, took
from taskrunner.console.views.words import Sign
from taskrunner.service.v1.agent_shapes import Agent, AgentOrder, AgentState, Group

_STATES = {
    AgentState.READY: Sign("✓", "ready", "ok"),
    AgentState.BUSY: Sign("▶", "busy", "run"),
    AgentState.PAUSED: Sign("‖", "paused", "hold"),
    AgentState.DRAINING: Sign("‖", "draining", "hold"),
    AgentState.SILENT: Sign("✕", "silent", "bad"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """A worker group."""

    name: str
    address: str
    ready: int
    running: int
    agents: int
    slots: str
    #: How long the task that has waited longest waits.
    oldest: str
    #: Work waits, and nobody asks for it.
    deserted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLine:
    """An agent."""

    id: str
    sign: Sign
    host: str
    groups: Sequence[str]
    slots: str
    version: str
    #: It is another one than the service's.
    skewed: bool
    user: str
    last_seen: datetime
    last_poll: datetime | None
    #: What the agent says of its own pause, or what an operator has told it: `by ops, for ever:
    #: upgrade`.
    paused: str
    ordered: str


def group_line(group: Group, now: datetime) -> GroupLine:
    """A worker group of the list."""
    return GroupLine(
        name=group.name,
        address=addresses.with_query("/agents", {}, group=group.name),
        ready=group.ready,
        running=group.running,
        agents=group.agents,
        slots=f"{group.busy} of {group.slots}" if group.slots else "",
        oldest=took(now - group.oldest_ready) if group.oldest_ready else "",
        deserted=bool(group.ready and not group.agents),
    )


def agent_line(agent: Agent, service_version: str) -> AgentLine:
    """An agent of the list of a service."""
    address = f" ({agent.ip})" if agent.ip else ""
    return AgentLine(
        id=agent.id,
        sign=_STATES[agent.state],
        host=f"{agent.hostname or ''}{address}",
        groups=agent.groups,
        slots="" if agent.slots is None else f"{agent.busy or 0} of {agent.slots}",
        version=agent.version or "",
        skewed=agent.version is not None and agent.version != service_version,
        user=agent.user,
        last_seen=agent.last_seen,
        last_poll=agent.last_poll,
        paused=agent.paused or "",
        ordered=_told(agent.order) if agent.order else "",
    )


def _told(order: AgentOrder) -> str:
    until = f"until {moment(order.until)}" if order.until else "until it is resumed"
    note = f": {order.note}" if order.note else ""
    return f"by {order.by}, {until}{note}"
