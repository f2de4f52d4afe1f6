"""Pages below a path that nobody can guess, as `taskrunner run --ui` serves them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from taskrunner.console.table import console
from taskrunner.service.loopback import LoopbackServer
from tests.browser.conftest import Site
from tests.browser.looking import Look
from tests.unit.service.worlds import ON_DEMAND, shell


@pytest.fixture
def served(site: Site) -> Iterator[str]:
    server = LoopbackServer()
    with server.serving(site.world.service, console(keys=False)):
        yield server.pages_url


def test_everything_stays_below_the_path_and_follows_what_happens(
    chromium: Any, site: Site, served: str
) -> None:
    key = site.do(lambda v1: v1.pipeline("below", [ON_DEMAND, shell("A", workerGroup="below")]))
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    window = Look(context.new_page(), served, name="below").to(f"/p/{key}/grid")
    window.page.wait_for_function("document.querySelector('[data-live]') !== null")
    window.page.get_by_role("button", name="Pause").click()
    window.page.wait_for_url(f"{served}/p/{key}/grid?done=pause")
    window.page.get_by_role("button", name="Resume").click()
    window.page.wait_for_selector("text=It goes on.")
    site.do(lambda v1: v1.did(f"/pipelines/{key}/cancel", status=["WAITING_FOR_RUNNER"]))
    window.page.wait_for_selector(".cell[aria-label*='canceled']", timeout=20_000)
    window.page.locator(".cell").first.click()
    window.page.get_by_role("link", name="Open A").click()
    window.page.wait_for_url(f"{served}/p/{key}/i/**")
    window.page.get_by_role("link", name="taskrunner").click()
    window.page.wait_for_url(f"{served}/")
    context.close()
    # No request went elsewhere: Look complains of what is not below the path.
    assert window.complaints == []
