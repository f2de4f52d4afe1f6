"""A window of a browser, what it complains of, and what axe-core finds wrong on its page."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
#: Screenshots are kept here for people to look at.
SHOTS = _HERE.parents[1] / "build" / "console"


@cache
def axe() -> str:
    """The checks of axe-core, as a script."""
    return (_HERE / "axe.min.js").read_text(encoding="utf-8")


class Look:
    """One window."""

    def __init__(self, page: Any, url: str, *, name: str) -> None:
        self.page = page
        self.url = url
        self.name = name
        #: Errors of scripts, reports of the policy, requests that leave the origin.
        self.complaints: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self._asked)

    def to(self, path: str) -> Look:
        """Open a page of the console."""
        answer = self.page.goto(self.url + path)
        assert answer.ok, (path, answer.status)
        return self

    def shot(self, what: str) -> None:
        """Keep a picture of the page."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{what}-{self.name}.png", full_page=True)

    def violations(self) -> list[str]:
        """What axe-core finds wrong on the page."""
        self.page.evaluate(axe())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
            for one in found["violations"]
        ]

    def sticks_out(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(
            self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )

    def text(self) -> str:
        """The text of the page's content."""
        return re.sub(r"\s+", " ", str(self.page.inner_text("main")))

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:")):
            self.complaints.append(f"request: {request.url}")
