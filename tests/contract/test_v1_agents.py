"""Agents that are told to take no work, or to end, over both stores."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from taskrunner.service.app import EdgeSettings, create_app
from taskrunner.service.auth import NoAuthenticator
from taskrunner.service.handlers import HANDLERS
from taskrunner.wire.user_agent import RunnerFacts
from tests.contract.v1 import V1
from tests.unit.service import asgi
from tests.unit.service.worlds import ON_DEMAND, shell


async def poll(app: Any, agent: str, group: str = "wg") -> Any:
    """What an agent's poll is answered."""
    header = RunnerFacts(runner_id=agent, slots=2, busy=0).header()
    answer = await asgi.Caller(app).ask(
        headers=asgi.wire_headers("PollForTask", **{"user-agent": header}),
        parts=[json.dumps({"workerGroup": group, "hostname": f"host-{agent}"}).encode()],
    )
    assert answer is not None
    return answer.json.get("taskObject")


def polls(v1: V1, *agents: str, hold_s: float = 0.05, ready: bool = False) -> list[bool]:
    """Whether each of these agents, which poll at once in this order, was given a task."""
    app = create_app(
        v1.world.service,
        handlers=HANDLERS,
        authenticator=NoAuthenticator(),
        settings=EdgeSettings(poll_hold_s=hold_s),
    )

    async def main() -> list[bool]:
        async with asgi.started(app):
            asked = [asyncio.ensure_future(poll(app, agent)) for agent in agents]
            if ready:
                while app.state.waiting_polls() < 1:
                    await asyncio.sleep(0.01)
                v1.pipeline("later", [ON_DEMAND, shell("A")])
                v1.world.service.work_ready.announce({"wg"})
            return [(await one) is not None for one in asked]

    return asyncio.run(main())


def beat(v1: V1, agent: str) -> bool:
    """Whether an agent's heartbeat tells it to end."""
    return v1.world.service.heartbeat(agent, "wg", f"host-{agent}")


def test_a_paused_agent_is_given_nothing_until_it_is_resumed(v1: V1) -> None:
    assert polls(v1, "one", "two") == [False, False]
    found = v1.did("/agents/pause", ids=["one"], note="upgrade")["agents"]
    assert [(a["id"], a["state"], a["order"]["note"]) for a in found] == [
        ("one", "PAUSED", "upgrade")
    ]
    assert found[0]["order"]["by"] == "operator-user"
    v1.pipeline("p", [ON_DEMAND, shell("A")])
    assert polls(v1, "one") == [False]
    assert polls(v1, "two") == [True]
    v1.pipeline("q", [ON_DEMAND, shell("A")])
    for _ in range(2):
        assert "order" not in v1.did("/agents/resume", ids=["one"])["agents"][0]
    assert polls(v1, "one") == [True]
    told = [(row["subject"], row["after"]) for row in v1.got("/audit")["entries"]]
    assert sorted(told) == [("one", "PAUSE"), ("one", "RESUME"), ("one", "RESUME")]


def test_a_poll_on_hold_takes_no_wake_up_from_others(v1: V1) -> None:
    assert polls(v1, "held", "free") == [False, False]
    v1.did("/agents/pause", ids=["held"])
    assert polls(v1, "held", "free", hold_s=2, ready=True)[1]


def test_a_pause_ends_by_itself(v1: V1) -> None:
    polls(v1, "one")
    found = v1.did("/agents/pause", group="wg", minutes=5)["agents"]
    assert found[0]["order"]["until"] == "2026-02-13T02:05:00Z"
    v1.pipeline("p", [ON_DEMAND, shell("A")])
    assert polls(v1, "one") == [False]
    v1.world.advance(timedelta(minutes=6))
    assert polls(v1, "one") == [True]
    v1.world.service.roster.save(v1.world.now)
    assert v1.got("/agents")["agents"][0]["state"] == "READY"


def test_a_drained_agent_hears_by_its_heartbeat_that_it_is_to_end(v1: V1) -> None:
    polls(v1, "one", "two")
    assert not beat(v1, "one")
    assert v1.did("/agents/drain", ids=["one"])["agents"][0]["state"] == "DRAINING"
    v1.pipeline("p", [ON_DEMAND, shell("A")])
    assert polls(v1, "one") == [False]
    assert beat(v1, "one")
    assert not beat(v1, "two")
    v1.did("/agents/resume", ids=["one"])
    assert not beat(v1, "one")


def test_an_order_stays_while_its_agent_goes_on_to_call(v1: V1) -> None:
    polls(v1, "one")
    v1.did("/agents/pause", ids=["one"])
    polls(v1, "one")
    v1.world.advance(timedelta(minutes=1))
    beat(v1, "one")
    v1.world.service.roster.save(v1.world.now)
    assert v1.got("/agents")["agents"][0]["order"]["order"] == "PAUSE"


def test_only_operators_tell_agents_anything(v1: V1) -> None:
    polls(v1, "one")
    for action in ("pause", "drain", "resume"):
        path = f"/agents/{action}"
        assert v1.post(path, role="viewer", ids=["one"]).status == 403
        assert v1.post(path, role="runner", ids=["one"]).status == 403
        assert v1.post(path, role="bound", ids=["one"]).status == 404
        assert v1.post(path, role="other", ids=["one"]).status == 404
        assert v1.post(path).status == 400
        assert v1.post(path, ids=["nobody"]).status == 404
