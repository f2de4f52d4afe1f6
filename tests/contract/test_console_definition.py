"""The page of a definition: what is wrong in it, what differs between versions, and its file."""

from __future__ import annotations

import html
import json
import re

import pytest

from taskrunner.testing import ServiceInProcess
from taskrunner.testing.service import as_definition
from tests.contract.browser import Browser, app_of
from tests.contract.stores import ON_SQLITE
from tests.contract.v1 import V1
from tests.unit.service.worlds import ON_DEMAND, ref, shell

pytestmark = ON_SQLITE

NASTY = "<script>alert(1)</script>"


@pytest.fixture
def visitor(world: ServiceInProcess) -> Browser:
    """Somebody who has signed in with a viewer's key."""
    browser = Browser(app_of(world))
    browser.sign_in("viewer")
    return browser


def put(world: ServiceInProcess, key: str, *objects: dict[str, object]) -> None:
    world.service.put_definition(key, as_definition([ON_DEMAND, *objects]))


def text(page: str) -> str:
    return html.unescape(re.sub("<[^>]+>", "", page[page.index("<main") :]))


def test_errors_and_fields_without_effect_stand_at_their_lines(
    world: ServiceInProcess, visitor: Browser
) -> None:
    v1 = V1(world)
    wrong = shell("A", scriptUri="s3://b/k", lateAfterTimeout="1 hour")
    made = v1.pipeline("orders", [ON_DEMAND, wrong], activate=False)
    found = v1.got(f"/pipelines/{made}/definition")["findings"]
    assert {one["severity"] for one in found} == {"error", "warning"}
    page = visitor.follow(f"/p/{made}/definition")
    for one in found:
        assert one["message"] in text(page)
    # At the line of the field that it is about.
    at = {int(line) for line in re.findall(r'<a href="#L(\d+)"', page)}
    lines = dict(re.findall(r'id="L(\d+)"><a class="number"[^>]*>\d+</a>(.*)\n', page))
    assert "lateAfterTimeout" in {html.unescape(lines[str(line)]).split('"')[1] for line in at}
    good = v1.pipeline("good", [ON_DEMAND, shell("A")])
    assert v1.got(f"/pipelines/{good}/definition")["findings"] == []
    assert "✓ valid" in text(visitor.follow(f"/p/{good}/definition"))


def test_a_draft_is_compared_with_the_active_version(
    world: ServiceInProcess, visitor: Browser
) -> None:
    v1 = V1(world)
    made = v1.pipeline("orders", [ON_DEMAND, shell("A", command="old"), shell("B")])
    put(world, made, shell("A", command=NASTY), shell("B", dependsOn=ref("A")))
    page = visitor.follow(f"/p/{made}/definition")
    (beside,) = re.findall(r'href="([^"]+against=1)"', page)
    diff = visitor.follow(html.unescape(beside))
    assert NASTY not in diff
    told = text(diff)
    assert '-       "command": "old"' in told
    assert f'+       "command": "{NASTY}"' in told
    # What keeps it from taking the active one's place is said before somebody activates it.
    assert "its references were changed while its pipeline is active" in told
    assert "forbidden-edit" in told
    active = visitor.follow(f"/p/{made}/definition?version=active")
    assert "forbidden-edit" not in active
    assert "against=1" not in active
    same = visitor.follow(f"/p/{made}/definition?version=2&against=2")
    assert "They are the same" in text(same)
    assert visitor.get(f"/p/{made}/definition?version=2&against=9").status == 404
    assert visitor.get(f"/p/{made}/definition?against=x").status == 400


def test_secrets_are_masked_on_every_page_of_it(world: ServiceInProcess, visitor: Browser) -> None:
    secret = "a very secret word"
    v1 = V1(world)
    made = v1.pipeline("orders", [ON_DEMAND, shell("A", **{"*pass": secret})])
    put(world, made, shell("A", **{"*pass": secret + " too", "retries": "3"}))
    pages = [
        visitor.follow(f"/p/{made}/definition{query}") for query in ("", "?version=2&against=1")
    ]
    pages.append(visitor.get(f"/p/{made}/definition/file").body.decode())
    pages.append(json.dumps(v1.got(f"/pipelines/{made}/definition")))
    for page in pages:
        assert secret not in page


def test_a_version_is_kept_as_a_file(world: ServiceInProcess, visitor: Browser) -> None:
    v1 = V1(world)
    made = v1.pipeline("orders", [ON_DEMAND, shell("A")])
    put(world, made, shell("A", command="new"))
    answer = visitor.get(f"/p/{made}/definition/file?version=1")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == f'attachment; filename="{made}-1.json"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (
        json.loads(answer.body)
        == v1.got(f"/pipelines/{made}/definition", version="1")["definition"]
    )
    other = Browser(app_of(world))
    other.sign_in("other")
    assert other.get(f"/p/{made}/definition/file").status == 404
