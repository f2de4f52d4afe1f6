"""Agents and worker groups: who asks for work, and which work waits for somebody to ask.

An agent is known by its calls; each says what it is, how many tasks it can run and does run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from taskrunner.errors import InvalidRequest
from taskrunner.model.why.groups import SILENT_AFTER
from taskrunner.service.agent_orders import Order
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.store import agent_orders as order_store
from taskrunner.service.store import audit
from taskrunner.service.store import runners as runner_store
from taskrunner.service.store.rows import RunnerGroupRow, RunnerRow
from taskrunner.service.store.worker_groups import GroupQueue, load_queues
from taskrunner.service.v1.agent_shapes import (
    Agent,
    AgentList,
    AgentOrder,
    AgentState,
    Group,
    GroupList,
)
from taskrunner.service.v1.faults import NotFound
from taskrunner.service.v1.requests import ListAgents, ListGroups, OfAgents, OrderAgents

#: An agent that was not heard of for so long is not shown any more.
SHOWN_FOR = timedelta(days=1)


def list_agents(service: Service, caller: Caller, request: ListAgents) -> AgentList:
    """The account's agents, those that were heard of last first."""
    now = service.clock.now()
    agents, _ = _agents(service, caller, now)
    return AgentList(
        agents=tuple(
            agent
            for agent in agents
            if (request.group is None or request.group in agent.groups)
            and (not request.state or agent.state in request.state)
        )
    )


def list_groups(service: Service, caller: Caller, request: ListGroups) -> GroupList:
    """Worker groups, those with work that nobody asks for first."""
    now = service.clock.now()
    agents, queues = _agents(service, caller, now)
    names = {name for agent in agents for name in agent.groups} | queues.keys()
    groups = [_group(name, agents, queues.get(name)) for name in names if _may_see(caller, name)]
    if request.name is not None:
        wanted = request.name.casefold()
        groups = [group for group in groups if wanted in group.name.casefold()]
    groups.sort(key=lambda group: (not (group.ready and not group.agents), group.name))
    return GroupList(groups=tuple(groups))


def pause_agents(service: Service, caller: Caller, request: OrderAgents) -> AgentList:
    """Have agents take no work; what they run goes on."""
    return _tell(service, caller, request, Order.PAUSE)


def drain_agents(service: Service, caller: Caller, request: OrderAgents) -> AgentList:
    """Have agents take no work, finish what runs, and end: they hear it by a heartbeat."""
    return _tell(service, caller, request, Order.DRAIN)


def resume_agents(service: Service, caller: Caller, request: OfAgents) -> AgentList:
    """Let agents take work again, from their next poll on."""
    return _tell(service, caller, OrderAgents(ids=request.ids, group=request.group), None)


def _tell(service: Service, caller: Caller, request: OrderAgents, order: Order | None) -> AgentList:
    """Note an order for each agent that is meant. Raises NotFound, InvalidRequest."""
    if bool(request.ids) == (request.group is not None):
        raise InvalidRequest("say which agents: ids, or a group")
    now = service.clock.now()
    service.roster.save(now)  # whoever was heard of just now is known
    until = now + timedelta(minutes=request.minutes) if request.minutes else None
    known = {agent.id: agent for agent in _agents(service, caller, now)[0]}
    ids = request.ids or [key for key, of in known.items() if request.group in of.groups]
    unknown = sorted(set(ids) - known.keys())
    if unknown:
        raise NotFound(f"no agent {unknown[0]!r} was heard of within a day")
    with service.store.write() as conn:
        for key in ids:
            order_store.give_order(
                conn,
                caller.account,
                key,
                order,
                by=caller.user if order else None,
                note=request.note,
                at=now if order else None,
                until=until,
            )
            audit.note(conn, key, after=str(order or "RESUME"))
    service.orders.forget()
    agents, _ = _agents(service, caller, now)
    return AgentList(agents=tuple(agent for agent in agents if agent.id in set(ids)))


def _agents(
    service: Service, caller: Caller, now: datetime
) -> tuple[list[Agent], Mapping[str, GroupQueue]]:
    since = now - SHOWN_FOR
    with service.store.read() as conn:
        rows = runner_store.load_runners(conn, caller.account, since=since)
        named = runner_store.load_groups(conn, caller.account, since=since)
        queues = load_queues(conn, caller.account, now)
    groups: dict[str, list[RunnerGroupRow]] = {}
    for row in named:
        if _may_see(caller, row.worker_group):
            groups.setdefault(row.runner_id, []).append(row)
    found = [_agent(row, groups.get(row.runner_id, ()), now) for row in rows]
    if caller.worker_groups is not None:
        found = [agent for agent in found if agent.groups]
    return found, queues


def _may_see(caller: Caller, group: str) -> bool:
    return caller.worker_groups is None or group in caller.worker_groups


def _agent(row: RunnerRow, groups: Iterable[RunnerGroupRow], now: datetime) -> Agent:
    order, state = _order(row, now), AgentState.READY
    if now - row.last_seen_at > SILENT_AFTER:
        state = AgentState.SILENT
    elif order is not None:
        state = AgentState.DRAINING if order.order is Order.DRAIN else AgentState.PAUSED
    elif row.paused:
        state = AgentState.PAUSED
    elif row.slots is not None and row.busy is not None and row.busy >= row.slots:
        state = AgentState.BUSY
    return Agent(
        id=row.runner_id,
        state=state,
        groups=tuple(sorted({group.worker_group for group in groups})),
        user=row.user_id,
        first_seen=row.first_seen_at,
        last_seen=row.last_seen_at,
        last_poll=row.last_poll_at,
        last_heartbeat=row.last_heartbeat_at,
        hostname=row.hostname,
        ip=row.ip,
        version=row.version,
        slots=row.slots,
        busy=row.busy,
        paused=row.paused or None,
        order=order,
    )


def _order(row: RunnerRow, now: datetime) -> AgentOrder | None:
    over = row.ordered_until is not None and row.ordered_until <= now
    if row.ordered is None or row.ordered_at is None or over:
        return None
    return AgentOrder(
        order=Order(row.ordered),
        by=row.ordered_by or "",
        at=row.ordered_at,
        until=row.ordered_until,
        note=row.ordered_note,
    )


def _group(name: str, agents: Iterable[Agent], queue: GroupQueue | None) -> Group:
    serving = [
        agent
        for agent in agents
        if name in agent.groups and agent.state in {AgentState.READY, AgentState.BUSY}
    ]
    return Group(
        name=name,
        ready=queue.ready if queue else 0,
        running=queue.running if queue else 0,
        oldest_ready=queue.oldest_ready if queue else None,
        agents=len(serving),
        slots=sum(agent.slots or 0 for agent in serving),
        busy=sum(agent.busy or 0 for agent in serving),
    )
