"""`/agents`: who asks for work, which work nobody asks for, and what agents are told."""

from __future__ import annotations

from collections.abc import Mapping

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import saying, shown
from taskrunner.console.views import addresses
from taskrunner.console.views.agents import agent_line, group_line
from taskrunner.console.visit import Visit
from taskrunner.errors import InvalidRequest
from taskrunner.service.handler import Handler
from taskrunner.service.v1.agents import (
    drain_agents,
    list_agents,
    list_groups,
    pause_agents,
    resume_agents,
)
from taskrunner.service.v1.faults import NotFound

ORDERS: Mapping[str, Handler] = {
    "pause": pause_agents,
    "drain": drain_agents,
    "resume": resume_agents,
}
#: For how long agents are paused or drained, in minutes; nothing: until they are resumed.
_MINUTES = (("5", "for 5 minutes"), ("60", "for an hour"), ("", "until resumed"))


def agents(visit: Visit) -> Answer:
    """Worker groups, and the agents of all or of one."""
    wanted = visit.first("group")
    groups = visit.ask(list_groups, name=None).groups
    found = visit.ask(list_agents, group=wanted or None, state=())
    return shown(
        visit,
        "agents.html",
        groups=[group_line(one, visit.now) for one in groups],
        agents=[agent_line(one, found.service_version) for one in found.agents],
        service_version=found.service_version,
        wanted=wanted,
        minutes=_MINUTES,
    )


def order(visit: Visit) -> Answer:
    """`POST /agents/do/VERB`: tell the agents that are chosen."""
    verb = visit.names["verb"]
    if verb not in ORDERS:
        raise NotFound(f"there is no action {verb!r} for agents")
    ids = [key for key in visit.form.get("ids", []) if key]
    if not ids:
        raise InvalidRequest("no agent was chosen")
    visit.asked(ORDERS[verb], {**visit.form, "ids": ids, "group": []})
    return Answer(go_to=saying(addresses.local(visit.field("to")), f"{verb}-agents:{len(ids)}"))
