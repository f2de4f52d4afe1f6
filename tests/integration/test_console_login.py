"""`taskrunner login` and a browser's way from its ticket into the console, over HTTP."""

from __future__ import annotations

import re
import threading
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlencode, urlsplit

import pytest

from taskrunner.cli import main
from taskrunner.service.auth_keys import Key
from taskrunner.service.server import Address, ServiceServer, bind
from taskrunner.testing import ServiceInProcess
from tests.contract.browser import app_of
from tests.contract.v1 import KEYS, SECRET


@contextmanager
def serving(keys: Mapping[str, Key] | None) -> Iterator[str]:
    with ServiceInProcess() as world:
        server = ServiceServer(app_of(world, keys), bind(Address(host="127.0.0.1", port=0)))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server.url
        finally:
            server.stop()
            thread.join()


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "viewer")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def ask(url: str, method: str, path: str, form: Mapping[str, str], cookie: str) -> HTTPResponse:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    headers = {"cookie": cookie, "sec-fetch-site": "same-origin"}
    body = urlencode(form) if form else None
    if body:
        headers["content-type"] = "application/x-www-form-urlencoded"
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_a_shells_key_signs_a_browser_in_once(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEYS) as url:
        assert main(["login", url]) == 0
        told = capsys.readouterr().out
        (ticket,) = re.findall(rf"{re.escape(url)}/console/enter#(\S+)", told)
        assert f"paste the ticket:\n{ticket}" in told
        confirmed = {"ticket": ticket, "key": "viewer"}
        assert ask(url, "POST", "/console/enter", {"ticket": ticket}, "").status == 200
        answer = ask(url, "POST", "/console/enter", confirmed, "")
        assert answer.status == 303
        cookie = str(answer.headers["set-cookie"]).partition(";")[0]
        assert ask(url, "GET", "/", {}, cookie).status == 200
        assert ask(url, "POST", "/console/enter", confirmed, "").status == 401
        assert ask(url, "GET", "/", {}, "").status == 303


def test_a_browser_is_opened_where_there_is_a_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def opens(link: str) -> bool:
        opened.append(link)
        return True

    monkeypatch.setattr(webbrowser, "open", opens)
    monkeypatch.setenv("DISPLAY", ":0")
    with serving(KEYS) as url:
        assert main(["login", "--endpoint", url]) == 0
        assert opened[0].startswith(f"{url}/console/enter#")
        # What signs somebody in is not left in a terminal's memory where that is not needed.
        assert "#" not in capsys.readouterr().out
        assert main(["login", url, "--no-browser"]) == 0
        assert len(opened) == 1


def test_a_wrong_key_a_service_without_keys_and_one_that_is_not_ours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(None) as url:
        assert main(["login", url]) == 0
        assert "needs no ticket" in capsys.readouterr().out
    with serving(KEYS) as url:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not the secret of this key")
        assert main(["login", url]) == 1
        assert "signature" in capsys.readouterr().err.lower()
    assert main(["login", url, "--endpoint", "http://localhost:1"]) == 2
    assert main(["login", "https://datapipeline.us-east-1.amazonaws.com"]) == 1
    assert "taskrunner serve" in capsys.readouterr().err
