from __future__ import annotations

from datetime import UTC, datetime

import pytest

from taskrunner.console.views.agents import agent_line
from taskrunner.service.agent_orders import Order
from taskrunner.service.v1.agent_shapes import Agent, AgentOrder, AgentState

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize("state", AgentState)
def test_every_state_of_an_agent_is_shown(state: AgentState) -> None:
    agent = Agent(id="a", state=state, groups=("g",), user="u", first_seen=NOW, last_seen=NOW)
    shown = agent_line(agent, "1.0")
    assert (shown.sign.word, bool(shown.sign.glyph)) == (state.lower(), True)


@pytest.mark.parametrize(
    ("until", "note", "told"),
    [
        (None, None, "by ops, until it is resumed"),
        (NOW, "upgrade", "by ops, until 2026-11-30 12:00: upgrade"),
    ],
)
def test_what_an_agent_was_told_is_shown(
    until: datetime | None, note: str | None, told: str
) -> None:
    order = AgentOrder(order=Order.PAUSE, by="ops", at=NOW, until=until, note=note)
    agent = Agent(
        id="a",
        state=AgentState.PAUSED,
        groups=("g",),
        user="u",
        first_seen=NOW,
        last_seen=NOW,
        order=order,
    )
    assert agent_line(agent, "1.0").ordered == told


@pytest.mark.parametrize(
    ("version", "skewed"), [("1.0", False), ("0.9", True), ("1.0.1", True), (None, False)]
)
def test_another_version_than_the_services_is_marked(version: str | None, skewed: bool) -> None:
    agent = Agent(
        id="a",
        state=AgentState.READY,
        groups=("g",),
        user="u",
        first_seen=NOW,
        last_seen=NOW,
        version=version,
    )
    assert agent_line(agent, "1.0").skewed is skewed
