from __future__ import annotations

from datetime import UTC, datetime

import pytest

from taskrunner.console.views.agents import agent_line
from taskrunner.service.v1.agent_shapes import Agent, AgentState

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize("state", AgentState)
def test_every_state_of_an_agent_is_shown(state: AgentState) -> None:
    agent = Agent(id="a", state=state, groups=("g",), user="u", first_seen=NOW, last_seen=NOW)
    shown = agent_line(agent)
    assert (shown.sign.word, bool(shown.sign.glyph)) == (state.lower(), True)
