"""A service with a console, and a real browser that looks at it.

They are tests of their own (`make console-test`): a browser takes more memory than the rest.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from taskrunner.service.server import Address, ServiceServer, bind
from taskrunner.service.settings import LogSettings, ServiceSettings
from taskrunner.testing import ServiceInProcess
from tests.browser.looking import Look
from tests.contract.browser import app_of
from tests.contract.v1 import V1

T = TypeVar("T")

WANTED = "TASKRUNNER_BROWSER_TEST"
#: Nothing of Google's is asked for, and a container has no sandbox for root.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip them where they are not asked for; in CI a missing browser is a failure."""
    here = Path(__file__).parent.relative_to(Path(__file__).parents[2]).as_posix()
    # Not by paths: among twelve thousand tests that takes each worker half a second.
    ours = [item for item in items if item.nodeid.startswith(f"{here}/")]
    if os.environ.get(WANTED) != "1":
        reason = f"make console-test sets {WANTED}=1"
    elif shutil.which("chromium") is None and "CI" not in os.environ:
        reason = "not installed: chromium"
    else:
        return
    for item in ours:
        item.add_marker(pytest.mark.skip(reason=reason))


class Site:
    """A service, its console's address, and what a test does to it beside the browser."""

    def __init__(self, world: ServiceInProcess, url: str, folder: Path) -> None:
        self.world = world
        self.url = url
        #: Stands for S3.
        self.folder = folder
        # Playwright runs a loop of its own in the tests' thread.
        self._aside = ThreadPoolExecutor(1)

    def do(self, call: Callable[[V1], T]) -> T:
        """What a call of /v1 gives; the service has come to rest before and after it."""

        def work() -> T:
            self.world.settle()
            found = call(V1(self.world))
            self.world.settle()
            return found

        return self._aside.submit(work).result()

    def close(self) -> None:
        """End the thread."""
        self._aside.shutdown()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("s3")
    settings = ServiceSettings(database_url="", logs=LogSettings(s3_root=folder))
    with ServiceInProcess(settings=settings) as world, _serving(world) as url:
        found = Site(world, url, folder)
        yield found
        found.close()


@contextmanager
def _serving(world: ServiceInProcess) -> Iterator[str]:
    server = ServiceServer(app_of(world, None), bind(Address(host="127.0.0.1", port=0)))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.url
    finally:
        server.stop()
        thread.join()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    # Chromium does not always remove what it puts into TMPDIR: that is pytest's to keep or drop.
    own: dict[str, str | float | bool] = {
        **os.environ,
        "TMPDIR": str(tmp_path_factory.mktemp("chromium")),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=FLAGS, env=own
        )
        yield browser
        browser.close()


@pytest.fixture
def look(chromium: Any, site: Site) -> Iterator[Callable[..., Look]]:
    """Opens a window of some size and theme; at the end nothing may have gone wrong in any."""
    windows: list[Look] = []

    def opened(width: int = 1280, theme: str = "light", **options: Any) -> Look:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, **options
        )
        window = Look(context.new_page(), site.url, name=f"{width}-{theme}")
        windows.append(window)
        return window

    yield opened
    for window in windows:
        window.page.context.close()
    for window in windows:
        assert window.complaints == [], json.dumps(window.complaints, indent=1)
