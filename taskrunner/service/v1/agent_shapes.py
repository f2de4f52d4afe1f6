"""What /v1 answers of agents and worker groups."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from taskrunner import __version__
from taskrunner.service.agent_orders import Order
from taskrunner.service.v1.schema import about


class AgentState(StrEnum):
    """How an agent is."""

    READY = "READY"  # it asks for work
    BUSY = "BUSY"  # it runs as many tasks as it can
    PAUSED = "PAUSED"  # it takes no work, as it says itself or was told
    DRAINING = "DRAINING"  # it was told to finish what runs, and to end
    SILENT = "SILENT"  # it was not heard of for three minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOrder:
    """What an operator has told an agent."""

    order: Order = about("What.")
    by: str = about("The user who did.")
    at: datetime = about("When.")
    until: datetime | None = about("Until when; left out: until it is resumed.", default=None)
    note: str | None = about("Why.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Somebody who asks for work, as its calls tell."""

    id: str = about("Its own name for itself; of one that does not tell, its host's.")
    state: AgentState = about("How it is.")
    groups: tuple[str, ...] = about("The worker groups that it has named.")
    user: str = about("Whose key it signs with.")
    first_seen: datetime = about("When it was heard of first.")
    last_seen: datetime = about("When it was heard of last.")
    last_poll: datetime | None = about("When it asked for work last.", default=None)
    last_heartbeat: datetime | None = about("When it sent its last heartbeat.", default=None)
    hostname: str | None = about("Its host.", default=None)
    ip: str | None = about("The address that it calls from.", default=None)
    version: str | None = about("Its version.", default=None)
    slots: int | None = about("Tasks that it runs at once.", default=None)
    busy: int | None = about("How many it ran when it was last heard of.", default=None)
    paused: str | None = about("Why it takes no work, as it says itself.", default=None)
    order: AgentOrder | None = about("What it was told, as long as that counts.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentList:
    """Agents that were heard of within a day."""

    agents: tuple[Agent, ...] = about("Those that were heard of last first.")
    service_version: str = about(
        "The version of the service, to be compared with theirs.", default=__version__
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A worker group: a queue, and who serves it."""

    name: str = about("Its name.")
    ready: int = about("Tasks that wait for a runner.")
    running: int = about("Tasks that a runner has.")
    agents: int = about("Agents that take its work: not silent, paused or draining.")
    slots: int = about("Tasks that these run at once, of this group and others.")
    busy: int = about("How many they run.")
    oldest_ready: datetime | None = about(
        "Since when the task that has waited longest waits.", default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupList:
    """Worker groups with work, or with agents."""

    groups: tuple[Group, ...] = about("Those whose work nobody asks for first.")
