"""A run beside the last good one: which step got slower, and what else is not as it was."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from taskrunner.testing import ServiceInProcess
from taskrunner.testing.service import as_definition
from tests.contract.browser import Browser, app_of
from tests.contract.stores import ON_SQLITE
from tests.contract.v1 import V1
from tests.unit.service.worlds import ON_DEMAND, shell

pytestmark = ON_SQLITE

CASCADE = {**ON_DEMAND, "failureAndRerunMode": "CASCADE"}
TWO = [CASCADE, shell("A", maximumRetries="0"), shell("B", after="A", maximumRetries="0")]


@pytest.fixture
def visitor(world: ServiceInProcess) -> Browser:
    """Somebody who has signed in with a viewer's key."""
    browser = Browser(app_of(world))
    browser.sign_in("viewer")
    return browser


def ran(world: ServiceInProcess, seconds: int, verdict: str = "FINISHED") -> None:
    """The next task has been done, in so many seconds."""
    task = world.take()
    world.advance(timedelta(seconds=seconds))
    world.conclude(task, verdict, *(() if verdict == "FINISHED" else ("CommandFailed", "no")))


def text(page: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", page[page.index("<main") :])).split())


def test_a_failed_run_is_compared_with_the_last_good_one(
    world: ServiceInProcess, visitor: Browser
) -> None:
    v1 = V1(world)
    made = v1.pipeline("orders", TWO)
    ran(world, 10)
    ran(world, 20)
    for seconds, verdict in ((30, "FAILED"), (200, "FINISHED")):
        world.advance(timedelta(minutes=1))
        if verdict == "FINISHED":
            world.service.put_definition(made, as_definition([*TWO[:2], shell("C", after="A")]))
        v1.did(f"/pipelines/{made}/activate")
        ran(world, seconds, verdict)
    newest = v1.got(f"/pipelines/{made}/runs")["runs"]
    runs = [one["start"] for one in newest]
    page = visitor.follow(f"/p/{made}/run/{runs[0]}")
    (link,) = re.findall(r'href="([^"]+/compare\?[^"]+)"', page)
    told = text(visitor.follow(html.unescape(link)))
    # The last one failed: it is compared with the one before that.
    assert "+3 min 10 s (20.0 times)" in told
    assert "two versions of the definition, 1 and 2" in told
    assert re.search(r"C ShellCommandActivity not in it", told)
    other = text(visitor.follow(f"/p/{made}/compare?run={runs[0]}&with={runs[1]}"))
    assert "CommandFailed" in other
    assert "cascade failed" in other
    first = text(visitor.follow(f"/p/{made}/compare?run={runs[2]}"))
    assert "No run before it has finished" in first


def test_what_is_no_run_is_said(world: ServiceInProcess, visitor: Browser) -> None:
    made = V1(world).pipeline("orders", TWO, activate=False)
    assert visitor.get(f"/p/{made}/compare").status == 400
    assert visitor.get(f"/p/{made}/compare?run=2026-01-01T00:00:00Z").status == 404
    assert visitor.get(f"/p/{made}/compare?run=yesterday").status == 400
    other = Browser(app_of(world))
    other.sign_in("other")
    assert other.get(f"/p/{made}/compare").status == 404
