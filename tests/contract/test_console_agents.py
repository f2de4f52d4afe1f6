"""Agents in the console: told to take no work, to end, and to take work again."""

from __future__ import annotations

import html
import re

import pytest

from taskrunner.service.callers import Caller
from taskrunner.service.roster import RunnerCall
from taskrunner.testing import ServiceInProcess
from taskrunner.wire.user_agent import RunnerFacts
from tests.contract.browser import Browser, app_of
from tests.contract.stores import ON_SQLITE
from tests.contract.v1 import V1

pytestmark = ON_SQLITE

NASTY = "<b>upgrade</b>"


@pytest.fixture
def world(kept: ServiceInProcess) -> ServiceInProcess:
    found = kept.reset()
    for name in ("one", "two"):
        facts = RunnerFacts(runner_id=name, slots=2, busy=0, groups=("wg",))
        caller = Caller(account="000000000000", user="runner")
        found.service.roster.polled(RunnerCall(caller=caller, facts=facts), "wg", f"host-{name}")
    found.service.roster.save(found.now)
    return found


def visitor(world: ServiceInProcess, role: str) -> Browser:
    browser = Browser(app_of(world))
    browser.sign_in(role)
    return browser


def states(world: ServiceInProcess) -> dict[str, str]:
    return {one["id"]: one["state"] for one in V1(world).got("/agents")["agents"]}


def tell(browser: Browser, verb: str, ids: list[str], **more: str) -> str:
    """Choose agents, press the button, and see what is said."""
    browser.follow("/agents?group=wg")
    *_, to = re.findall(r'name="to" value="(/agents[^"]*)"', browser.page)
    form = browser.own_form(ids=ids, to=html.unescape(to), **more)
    answer = browser.post(f"/agents/do/{verb}", form)
    assert answer.status == 303, answer.body
    assert answer.headers["location"] == f"/agents?group=wg&done={verb}-agents:{len(ids)}"
    return browser.follow(answer.headers["location"])


def test_an_operator_pauses_drains_and_resumes_agents(world: ServiceInProcess) -> None:
    operator = visitor(world, "operator")
    page = tell(operator, "pause", ["one"], note=NASTY, minutes="60")
    assert states(world) == {"one": "PAUSED", "two": "READY"}
    assert "1 agent takes no work." in page
    assert NASTY not in page
    assert "by operator-user, until 2026-02-13 03:00: <b>upgrade</b>" in html.unescape(page)
    assert "2 agents end once" in tell(operator, "drain", ["one", "two"], minutes="")
    assert states(world) == {"one": "DRAINING", "two": "DRAINING"}
    assert "until it is resumed" in operator.page
    assert "2 agents take work again." in tell(operator, "resume", ["one", "two"])
    assert states(world) == {"one": "READY", "two": "READY"}


def test_what_cannot_be_done_is_said(world: ServiceInProcess) -> None:
    operator = visitor(world, "operator")
    for path, form, status in (
        ("/agents/do/pause", {}, 400),
        ("/agents/do/pause", {"ids": ["none"]}, 404),
        ("/agents/do/pause", {"group": "wg"}, 400),
        ("/agents/do/end", {"ids": ["one"]}, 404),
        ("/agents/do/pause", {"ids": ["one"], "minutes": "x"}, 400),
    ):
        operator.follow("/agents")
        assert operator.post(path, operator.own_form(**form)).status == status, (path, form)
    assert states(world) == {"one": "READY", "two": "READY"}


def test_who_may_only_look_has_no_buttons(world: ServiceInProcess) -> None:
    page = visitor(world, "viewer").follow("/agents")
    assert "host-one" in page
    assert "/agents/do/" not in page
    assert 'type="checkbox"' not in page


def test_an_agent_of_another_version_than_the_service_is_marked(world: ServiceInProcess) -> None:
    facts = RunnerFacts(runner_id="old", version="0.0.1", slots=2, busy=0, groups=("wg",))
    caller = Caller(account="000000000000", user="runner")
    world.service.roster.polled(RunnerCall(caller=caller, facts=facts), "wg", "host-old")
    world.service.roster.save(world.now)
    found = V1(world).got("/agents")
    versions = {one["id"]: one["version"] for one in found["agents"]}
    assert versions == dict.fromkeys(("one", "two"), found["service_version"]) | {"old": "0.0.1"}
    page = visitor(world, "viewer").follow("/agents")
    assert page.count(">another version<") == 1
    assert f"the service has {found['service_version']}" in page
