"""The definition edited in the console: looked at first, then put; without scripts."""

from __future__ import annotations

import html
import json
import re

import pytest

from taskrunner.service.callers import Caller
from taskrunner.testing import ServiceInProcess
from taskrunner.testing.service import as_definition
from tests.contract.browser import Browser, app_of
from tests.contract.stores import ON_SQLITE
from tests.contract.v1 import V1
from tests.unit.service.worlds import ON_DEMAND, schedule, scheduled, shell

pytestmark = ON_SQLITE

NASTY = "</textarea><script>alert(1)</script>"
CANARY = "canary-of-a-secret"
SECRET = {"id": "D", "type": "RdsDatabase", "*password": CANARY, "username": "u"}


@pytest.fixture
def author(world: ServiceInProcess) -> Browser:
    browser = Browser(app_of(world))
    browser.sign_in("author")
    return browser


def text_in(page: str) -> str:
    """What the text area holds, as a browser reads it."""
    found = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    assert found
    return html.unescape(found[1])


def sent(author: Browser, made: str, text: str, **more: str) -> int:
    """Send the form of the page with another text, as a browser does, and load what follows."""
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', author.page))
    form = {**hidden, "text": text.replace("\n", "\r\n"), **more}
    answer = author.post(f"/p/{made}/definition/edit", form)
    if answer.status == 303:
        author.follow(answer.headers["location"])
    return answer.status


def test_it_is_looked_at_and_put_and_secrets_stay_what_they_are(
    world: ServiceInProcess, author: Browser
) -> None:
    made = V1(world).pipeline("p", [ON_DEMAND, shell("A"), SECRET], activate=False)
    assert f'href="/p/{made}/definition/edit"' in author.follow(f"/p/{made}/definition")
    text = text_in(author.follow(f"/p/{made}/definition/edit"))
    assert "*****" in text
    assert CANARY not in author.page
    assert 'name="put"' not in author.page
    changed = re.sub(r'("command": )"[^"]*"', r'\1"echo other"', text)
    assert sent(author, made, changed) == 200
    assert "object &#39;A&#39;, field &#39;command&#39;" in author.page
    assert "each activation is a run by it" in author.page
    assert text_in(author.page) == changed
    assert V1(world).got(f"/pipelines/{made}")["latest_version"] == 1
    assert sent(author, made, changed, put="true") == 303
    assert "It is put as the latest version." in author.page
    stored = repr(world.service.definition(made))
    assert "echo other" in stored
    assert CANARY in stored
    assert "'*****'" not in stored


def test_what_is_wrong_stands_at_its_line_and_can_be_put_all_the_same(
    world: ServiceInProcess, author: Browser
) -> None:
    made = V1(world).pipeline("p", [ON_DEMAND, shell("A")], activate=False)
    author.follow(f"/p/{made}/definition/edit")
    text = json.dumps({"objects": [ON_DEMAND, shell("A", dependsOn={"ref": NASTY})]}, indent=1)
    assert sent(author, made, text) == 200
    (line, column) = re.findall(r'data-line="(\d+)" data-column="(\d+)"', author.page)[0]
    assert '"dependsOn"' in text.split("\n")[int(line) - 1]
    assert f"line {line}, column {column}" in author.page
    assert f'id="L{line}"' in author.page
    assert "<script>alert" not in author.page
    assert "with its errors" in author.page
    assert sent(author, made, text, put="true") == 303
    assert V1(world).got(f"/pipelines/{made}")["latest_version"] == 2
    author.follow(f"/p/{made}/definition/edit")
    assert sent(author, made, "{ no json") == 200
    assert text_in(author.page) == "{ no json"
    # What cannot be read is not put, whatever is pressed; nothing that was typed is lost.
    assert sent(author, made, "{ no json", put="true") == 200
    assert "cannot be read" in author.page
    assert text_in(author.page) == "{ no json"
    assert V1(world).got(f"/pipelines/{made}")["latest_version"] == 2


def test_what_nobody_has_looked_at_is_not_put(world: ServiceInProcess, author: Browser) -> None:
    made = V1(world).pipeline("p", [ON_DEMAND, shell("A")], activate=False)
    text = text_in(author.follow(f"/p/{made}/definition/edit"))
    assert sent(author, made, text) == 200
    other = text.replace('"A"', '"B"')
    assert sent(author, made, other, put="true") == 200
    assert "It was changed since it was checked" in author.page
    assert V1(world).got(f"/pipelines/{made}")["latest_version"] == 1
    assert sent(author, made, other, put="true") == 303


def test_what_somebody_has_put_meanwhile_is_not_overwritten(
    world: ServiceInProcess, author: Browser
) -> None:
    made = V1(world).pipeline("p", [ON_DEMAND, shell("A")], activate=False)
    text = text_in(author.follow(f"/p/{made}/definition/edit"))
    sent(author, made, text)
    world.service.put_definition(made, as_definition([ON_DEMAND, shell("Theirs")]))
    assert sent(author, made, text, put="true") == 200
    assert "version 2 was put meanwhile" in author.page
    assert "Theirs" in repr(world.service.definition(made))


def test_which_runs_change_and_which_edits_are_refused_is_said_before(
    world: ServiceInProcess, author: Browser
) -> None:
    hourly = [scheduled(maxActiveInstances="5"), schedule(), shell("A")]
    made = V1(world).pipeline("p", hourly)
    author.follow(f"/p/{made}/definition/edit")
    text = json.dumps({"objects": [hourly[0], schedule(occurrences="3"), shell("A")]})
    assert sent(author, made, text) == 200
    assert re.search(r"the runs from 2026-02-13 0\d:00 on are made by it", author.page)
    assert "comes no more" in author.page
    assert "as it is" in author.page
    sent(author, made, json.dumps({"objects": [hourly[0], schedule(period="1 day")]}))
    assert "the period was changed from 1 hour to 1 day" in author.page
    assert "it was removed while its pipeline is active" in author.page


def test_a_first_definition_is_written_here_too(world: ServiceInProcess, author: Browser) -> None:
    made = world.service.create_pipeline(Caller(account="000000000000", user="x"), "new", "new")
    assert "Write one …" in author.follow(f"/p/{made}/definition")
    author.follow(f"/p/{made}/definition/edit")
    text = json.dumps({"objects": [ON_DEMAND, shell("A")]})
    sent(author, made, text)
    assert sent(author, made, text, put="true") == 303
    assert V1(world).got(f"/pipelines/{made}")["latest_version"] == 1


def test_only_who_may_put_definitions_finds_the_form(world: ServiceInProcess) -> None:
    made = V1(world).pipeline("p", [ON_DEMAND, shell("A")], activate=False)
    for role, may in (("viewer", False), ("operator", False), ("author", True), ("admin", True)):
        browser = Browser(app_of(world))
        browser.sign_in(role)
        page = browser.follow(f"/p/{made}/definition")
        assert ("definition/edit" in page) is may, role
        assert browser.get(f"/p/{made}/definition/edit").status == (200 if may else 403)
