"""`/agents`: who asks for work, and which work nobody asks for."""

from __future__ import annotations

from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import shown
from taskrunner.console.views.agents import agent_line, group_line
from taskrunner.console.visit import Visit
from taskrunner.service.v1.agents import list_agents, list_groups


def agents(visit: Visit) -> Answer:
    """Worker groups, and the agents of all or of one."""
    wanted = visit.first("group")
    groups = visit.ask(list_groups, name=None).groups
    found = visit.ask(list_agents, group=wanted or None, state=()).agents
    return shown(
        visit,
        "agents.html",
        groups=[group_line(one, visit.now) for one in groups],
        agents=[agent_line(one) for one in found],
        wanted=wanted,
    )
