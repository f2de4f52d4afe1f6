"""What newcomers looked for in the console and did not find at first."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from taskrunner.console.table import console
from taskrunner.service.app import EdgeSettings, create_app
from taskrunner.service.auth import NoAuthenticator
from taskrunner.service.handlers import HANDLERS
from taskrunner.testing import ServiceInProcess
from tests.contract.browser import Browser, app_of
from tests.contract.stores import ON_SQLITE
from tests.contract.v1 import V1, seg
from tests.unit.service.worlds import ON_DEMAND, ref, shell

pytestmark = ON_SQLITE
HERE = "--endpoint http://127.0.0.1:8484"
CASCADE = {**ON_DEMAND, "failureAndRerunMode": "CASCADE", "maximumRetries": "0"}


@pytest.fixture
def browser(world: ServiceInProcess) -> Browser:
    return Browser(app_of(world, None))


def text(page: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", page)).split())


def test_commands_name_the_service_whose_page_it_is(
    world: ServiceInProcess, browser: Browser
) -> None:
    made = V1(world).pipeline("p", [ON_DEMAND, shell("A", workerGroup="nobody")])
    for path in ("/waiting", f"/p/{made}/waiting"):
        page = browser.follow(path)
        assert f'<pre class="command">taskrunner --worker-group nobody {HERE}</pre>' in page
    assert f"taskrunner pipelines deactivate {made} {HERE}</pre>" in browser.follow(
        f"/p/{made}/deactivate"
    )


def test_a_local_run_shows_no_command_that_would_ask_another_service(
    world: ServiceInProcess,
) -> None:
    app = create_app(
        world.service,
        handlers=HANDLERS,
        authenticator=NoAuthenticator(),
        settings=EdgeSettings(threads=1),
        pages=console(keys=False, for_shells=False),
    )
    made = V1(world).pipeline("p", [ON_DEMAND, shell("A", workerGroup="nobody")])
    page = Browser(app).follow(f"/p/{made}/waiting")
    assert "no runner asks for the work of the worker group" in page
    assert "<pre" not in page
    assert "on a host" not in page


def test_what_waits_is_not_hidden_behind_pages_of_what_does_not(
    world: ServiceInProcess, browser: Browser
) -> None:
    """The page has so many pipelines of which something waits, whatever others there are."""
    v1 = V1(world)
    for number in range(51):
        v1.pipeline(f"a{number:02}", [ON_DEMAND, shell("A")], activate=False)
    v1.pipeline("z", [ON_DEMAND, shell("A", workerGroup="nobody")])
    page = browser.follow("/waiting")
    assert "worker group 'nobody'" in html.unescape(page)
    assert "More pipelines" not in page
    names = [
        [one["name"] for one in v1.got("/pipelines", live=live)["pipelines"]]
        for live in ("true", "false")
    ]
    assert names[0] == ["z"]
    assert len(names[1]) == 51


def test_what_was_drawn_into_a_failure_leads_to_what_failed_first(
    world: ServiceInProcess, browser: Browser
) -> None:
    v1 = V1(world)
    chain = [shell("First"), shell("Second", after="First"), shell("Third", after="Second")]
    made = v1.pipeline("p", [CASCADE, *chain])
    world.conclude(world.take(), "FAILED", "CommandFailed", "exit code 1")
    world.settle()
    (third,) = v1.got(f"/pipelines/{made}/instances", component="Third")["instances"]
    page = browser.follow(f"/p/{made}/i/{seg(third['id'])}")
    assert "CommandFailed: exit code 1" in text(page)
    (link,) = re.findall(r'<a href="([^"]+)">Why that failed', page)
    assert "<h1>First</h1>" in browser.follow(link)


def test_a_precondition_says_itself_that_it_does_not_hold(
    world: ServiceInProcess, browser: Browser
) -> None:
    v1 = V1(world)
    there = {"id": "There", "type": "ShellCommandPrecondition", "command": "false"}
    made = v1.pipeline("p", [ON_DEMAND, there, shell("A", precondition=ref("There"))])
    world.conclude(world.take(), "FALSE", None, "exit code 1")
    (one,) = v1.got(f"/pipelines/{made}/instances", component="There")["instances"]
    page = text(browser.follow(f"/p/{made}/i/{seg(one['id'])}"))
    assert "the precondition 'There' (ShellCommandPrecondition) does not hold: looked at" in page
    assert "ready again for worker group" in page
    assert "from here on" not in page
    for _ in range(9):
        world.advance(timedelta(minutes=2))
        world.conclude(world.take(), "FALSE", None, "exit code 1")
    page = text(browser.follow(f"/p/{made}/i/{seg(one['id'])}"))
    assert "handed out 6 times from here on" in page
    assert page.count("handed out to") == 4


def test_a_page_without_the_end_of_the_log_says_why(
    world: ServiceInProcess, browser: Browser
) -> None:
    v1 = V1(world)
    made = v1.pipeline("p", [CASCADE, shell("A", pipelineLogUri="s3://nowhere/logs")])
    world.conclude(world.take(), "FAILED", "CommandFailed", "exit code 1")
    (one,) = v1.got(f"/pipelines/{made}/instances")["instances"]
    page = text(browser.follow(f"/p/{made}/i/{seg(one['id'])}"))
    assert "The end of its log is not here: " in page
    assert "CommandFailed : exit code 1" in page


def test_a_run_that_waits_for_a_runner_does_not_run(
    world: ServiceInProcess, browser: Browser
) -> None:
    v1 = V1(world)
    made = v1.pipeline("p", [ON_DEMAND, shell("A")])
    assert ": waiting" in browser.follow("/")
    world.take()
    world.clock.advance(timedelta(seconds=1))
    assert ": running" in browser.follow("/")
    assert f'href="/p/{made}/waiting"' not in browser.follow("/")
