"""A browser for tests: it keeps cookies, follows links and sends the forms of pages."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Mapping
from html import unescape
from urllib.parse import urlencode

from starlette.applications import Starlette

from taskrunner.clock import SystemClock
from taskrunner.console.table import console
from taskrunner.service.app import EdgeSettings, create_app
from taskrunner.service.auth import Authenticator, NoAuthenticator, SigV4Authenticator
from taskrunner.service.auth_keys import Key
from taskrunner.service.handlers import HANDLERS
from taskrunner.testing import ServiceInProcess
from tests.contract.v1 import KEYS, V1
from tests.unit.service import asgi

_FORM = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}


def app_of(
    world: ServiceInProcess, keys: Mapping[str, Key] | None = KEYS, url: str | None = None
) -> Starlette:
    """The application with a console; without keys everybody is the same visitor."""
    authenticator: Authenticator = NoAuthenticator()
    if keys is not None:
        authenticator = SigV4Authenticator(keys, region="us-east-1", clock=SystemClock())
    return create_app(
        world.service,
        handlers=HANDLERS,
        authenticator=authenticator,
        settings=EdgeSettings(threads=2),
        pages=console(keys=keys is not None, url=url),
    )


class Browser:
    """What one visitor has: cookies, and the page that was loaded last."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self.cookies: dict[str, str] = {}
        self.page = ""

    def get(self, path: str, **headers: str) -> asgi.Answer:
        """Load a page."""
        return self.send("GET", path, headers=headers)

    def follow(self, path: str) -> str:
        """Load a page, and where it leads to; the HTML that is shown in the end."""
        answer = self.get(path)
        while answer.status == 303:
            answer = self.get(answer.headers["location"])
        assert answer.status == 200, answer.body
        return self.page

    def post(
        self, path: str, form: Mapping[str, object] | None = None, **headers: str | None
    ) -> asgi.Answer:
        """Send a form, as a page of this origin does; a header that is None is left out."""
        body = urlencode(form or {}, doseq=True).encode()
        wanted = {key: text for key, text in {**_FORM, **headers}.items() if text is not None}
        return self.send("POST", path, body, wanted)

    def own_form(self, **members: object) -> dict[str, object]:
        """A form of the page that was loaded last."""
        found = re.search(r'name="form_token" value="([^"]+)"', self.page)
        assert found, self.page
        return {"form_token": unescape(found[1]), **members}

    def sign_in(self, role: str) -> None:
        """With a ticket for the key of a role."""
        answer = self.enter(self.ticket(role))
        assert answer.status == 303, answer.body

    def enter(self, ticket: str, to: str = "/") -> asgi.Answer:
        """Send a ticket, and say yes where a page asks whether one wants to be who it is of."""
        answer = self.post("/console/enter", {"ticket": ticket, "to": to})
        if answer.status == 200:
            answer = self.post(*self.form_of("<button autofocus>Sign in as "))
        return answer

    def form_of(self, words: str) -> tuple[str, dict[str, object]]:
        """The address and the hidden fields of the form whose HTML says so."""
        for form in re.findall(r"<form method=\"post\".*?</form>", self.page, flags=re.DOTALL):
            if words in unescape(form):
                action = re.search(r'action="([^"]+)"', form)
                hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)
                fields: dict[str, list[str]] = {}
                for name, value in hidden:
                    fields.setdefault(unescape(name), []).append(unescape(value))
                assert action
                return unescape(action[1]), dict(fields)
        raise AssertionError(f"no form says {words!r}: {self.page}")

    def ticket(self, role: str) -> str:
        """What `taskrunner login` gets."""
        headers = V1.signed(None, "POST", "/v1/console/ticket", "", b"{}", role)  # type: ignore[arg-type]
        answer = self.send("POST", "/v1/console/ticket", b"{}", headers)
        assert answer.status == 200, answer.body
        return str(json.loads(answer.body)["ticket"])

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> asgi.Answer:
        """One request with the cookies that there are."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        wanted = {**({"cookie": cookies} if cookies else {}), **(headers or {})}

        async def main() -> asgi.Answer | None:
            async with asgi.started(self.app):
                return await asgi.Caller(self.app).ask(
                    method=method, path=path, headers=wanted, parts=[body]
                )

        answer = asyncio.run(main())
        assert answer is not None
        self._keep(answer)
        if answer.headers.get("content-type", "").startswith("text/html"):
            packed = answer.headers.get("content-encoding") == "gzip"
            self.page = (gzip.decompress(answer.body) if packed else answer.body).decode()
        return answer

    def _keep(self, answer: asgi.Answer) -> None:
        for told in answer.cookies:
            name, _, value = told.partition(";")[0].partition("=")
            if value.strip('"'):
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
