"""Pages of the console that show a pipeline's graph, its schedule and who did what."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from taskrunner.service.callers import Caller
from taskrunner.service.store.audit import Actor, acting, note
from taskrunner.testing import ServiceInProcess
from tests.contract.browser import Browser, app_of
from tests.contract.stores import ON_SQLITE
from tests.contract.v1 import V1
from tests.unit.service.worlds import ON_DEMAND, ref, schedule, scheduled, shell

pytestmark = ON_SQLITE

CALLER = Caller(account="000000000000", user="maker")
CASCADE = {**ON_DEMAND, "failureAndRerunMode": "CASCADE"}
CHECKED = [
    CASCADE,
    {"id": "There", "type": "ShellCommandPrecondition", "command": "true"},
    shell("A", precondition=ref("There")),
    shell("B", after="A"),
]


@pytest.fixture
def visitor(world: ServiceInProcess) -> Browser:
    """Somebody who has signed in with an operator's key."""
    browser = Browser(app_of(world))
    browser.sign_in("operator")
    return browser


# -- the graph ----------------------------------------------------------------------------------


def test_the_graph_leads_from_each_component_to_its_instance(
    world: ServiceInProcess, visitor: Browser
) -> None:
    made = V1(world).pipeline("orders", [CASCADE, shell("A"), shell("B", after="A")])
    for _ in range(3):
        world.conclude(world.take(), "FAILED", "CommandFailed", "exit code 1")
        world.advance(timedelta(minutes=11))
    page = visitor.follow(f"/p/{made}/graph")
    found = dict(re.findall(r'<a class="(\w+)" href="(/p/[^"]+/i/[^"]+)"', page))
    assert set(found) == {"bad", "cascade"}
    assert "✕ failed</text>" in page
    assert "⤓ cascade failed</text>" in page
    assert "3 attempts, CommandFailed" in page
    assert "CommandFailed: exit code 1" in html.unescape(
        re.sub("<[^>]+>", "", visitor.follow(html.unescape(found["bad"])))
    )
    # The policy takes neither styles of elements nor colors that no theme has.
    drawn = page[page.index("<svg class") : page.index("</svg>")]
    assert not re.search(r'style=|fill="|stroke="|#[0-9a-f]{6}', drawn)


def test_the_graph_shows_the_run_that_is_chosen(world: ServiceInProcess, visitor: Browser) -> None:
    v1 = V1(world)
    made = v1.pipeline("orders", [CASCADE, shell("A")])
    (first,) = v1.got(f"/pipelines/{made}/runs")["runs"]
    world.conclude(world.take(), "FINISHED")
    world.advance(timedelta(minutes=1))
    v1.did(f"/pipelines/{made}/activate")
    assert "waiting for a runner</text>" in visitor.follow(f"/p/{made}/graph")
    page = visitor.follow(f"/p/{made}/graph?run={first['start']}")
    assert "✓ finished</text>" in page
    assert "waiting for a runner</text>" not in page
    assert visitor.get(f"/p/{made}/graph?run=yesterday").status == 400
    part = visitor.get(f"/p/{made}/graph", **{"hx-request": "true"})
    assert part.body.lstrip().startswith(b"<p")


def test_the_graph_leaves_out_what_is_not_wanted(world: ServiceInProcess, visitor: Browser) -> None:
    made = V1(world).pipeline("orders", CHECKED)
    page = visitor.follow(f"/p/{made}/graph")
    assert ">There</text>" in page
    assert "There → A (precondition)" in page
    assert "if      There" in page
    page = visitor.follow(f"/p/{made}/graph?hide=preconditions")
    assert "There" not in page
    assert "A → B (dependsOn)" in page
    assert visitor.get(f"/p/{made}/graph?hide=everything").status == 400


def test_without_a_definition_or_a_run_the_graph_says_so(
    world: ServiceInProcess, visitor: Browser
) -> None:
    made = V1(world).pipeline("orders", CHECKED, activate=False)
    page = visitor.follow(f"/p/{made}/graph")
    assert "Nothing has run yet." in page
    assert "- nothing yet</text>" in page
    empty = world.service.create_pipeline(CALLER, "empty", "empty")
    assert "There is nothing to draw. No definition has been put." in visitor.follow(
        f"/p/{empty}/graph"
    )


# -- the audit ----------------------------------------------------------------------------------


def test_what_is_done_in_the_console_is_in_the_audit(
    world: ServiceInProcess, visitor: Browser
) -> None:
    made = V1(world).pipeline("orders", [CASCADE, shell("A")])
    visitor.follow(f"/p/{made}/grid")
    assert visitor.post(f"/p/{made}/do/pause", visitor.own_form(to="/")).status == 303
    page = visitor.follow(f"/p/{made}/audit")
    row = page[page.index("<tbody>") : page.index("</tbody>")]
    text = " ".join(html.unescape(re.sub("<[^>]+>", " ", row)).split())
    assert "operator-user operator from 127.0.0.1 SetStatus" in text
    assert text.endswith("PAUSE")
    assert made in visitor.follow("/audit")
    assert made not in visitor.follow("/audit?user=somebody")
    assert "SetStatus</td>" not in visitor.follow("/audit?operation=ActivatePipeline")
    assert visitor.get("/audit?operation=Nonsense").status == 400


def test_the_audit_has_pages(world: ServiceInProcess, visitor: Browser) -> None:
    made = V1(world).pipeline("orders", [CASCADE, shell("A")])
    actor = Actor(at=world.now, account=CALLER.account, user="mia", operation="SetStatus")
    with acting(actor), world.service.store.write() as conn:
        for number in range(52):
            note(conn, made, after=f"change {number}")
    page = visitor.follow("/audit")
    told = set(re.findall(r"change \d+", page))
    assert len(told) == 50
    older = re.search(r'<a href="([^"]+)">Older changes', page)
    assert older
    page = visitor.follow(html.unescape(older[1]))
    assert len(told | set(re.findall(r"change \d+", page))) == 52
    assert page.count("SetStatus</td>") == 2
    assert "Older changes" not in page
    assert '<a href="/audit">The newest changes' in page


# -- the schedule -------------------------------------------------------------------------------


def test_the_schedule_shows_what_comes_and_leads_to_running_what_did_not(
    world: ServiceInProcess, visitor: Browser
) -> None:
    v1 = V1(world)
    objects = [scheduled(maxActiveInstances="5"), schedule(), shell("A")]
    made = v1.pipeline("hourly", objects, activate=False)
    page = visitor.follow(f"/p/{made}/schedule")
    assert "These periods come once it is activated." in page
    assert "S: every 1 hour from 2026-02-13 02:00" in page
    world.advance(timedelta(hours=3))
    visitor.sign_in("operator")  # a session is over after an hour
    v1.did(f"/pipelines/{made}/activate", start=f"{world.now:%Y-%m-%dT%H:%M:%SZ}")
    page = visitor.follow(f"/p/{made}/schedule")
    assert page.count("comes</span>") == 50
    assert "has no instances" in page
    back = re.findall(r'href="(/p/[^"]+/backfill[^"]+)"', page)
    assert "is made and run" in visitor.follow(html.unescape(back[-1]))


def test_a_schedule_that_is_none_says_why(world: ServiceInProcess, visitor: Browser) -> None:
    made = V1(world).pipeline("orders", [CASCADE, shell("A")])
    assert "It runs on demand: once for each activation." in visitor.follow(f"/p/{made}/schedule")


# -- all of them --------------------------------------------------------------------------------


def test_instances_of_any_id_have_their_pages(world: ServiceInProcess, visitor: Browser) -> None:
    """What stands in an address has a meaning there, or is changed by browsers and proxies."""
    names = [
        "a/b",
        "50%",
        "100%25",
        "what?",
        "a#b",
        "../up",
        "a b",
        "größe",
        "a;b=c&d",
        "a\\b",
        "+",
    ]
    made = V1(world).pipeline("orders", [ON_DEMAND, *map(shell, names)])
    world.conclude(world.take(), "FAILED", "CommandFailed", "exit code 1")
    links = {
        html.unescape(link)
        for tab in ("grid", "graph")
        for link in re.findall(r'href="([^"]+/i/[^"]+)"', visitor.follow(f"/p/{made}/{tab}"))
    }
    assert len(links) == len(names)
    for link in links:
        (name,) = re.findall("<h1>(.*)</h1>", visitor.follow(link))
        names.remove(html.unescape(name))
        address, form = visitor.form_of("Cancel …")
        assert visitor.post(address, form).status == 200
        assert "Cancel: 1 instance" in visitor.page
    assert names == []
    (tried,) = {link for link in links if "CommandFailed" in visitor.follow(link)}
    assert "CommandFailed" in visitor.follow(f"{tried}/1")
    assert visitor.get(f"{tried}/1/log").status == 200


def test_what_others_say_is_text_on_these_pages(world: ServiceInProcess, visitor: Browser) -> None:
    nasty = "<script>alert(1)</script> \"'& \u202e"
    made = V1(world).pipeline(nasty, [CASCADE, shell("A'\"<i>t", name=nasty)])
    (instance,) = V1(world).got(f"/pipelines/{made}/instances")["instances"]
    V1(world).did(f"/pipelines/{made}/cancel", ids=[instance["id"]])
    for tab in ("graph", "schedule", "audit"):
        page = visitor.follow(f"/p/{made}/{tab}")
        assert "<script>alert" not in page
        assert "<i>t" not in page
        assert "\u202e" not in page.partition("<svg class")[2].partition("</svg>")[0]


def test_the_pages_ask_no_more_than_the_key_may(world: ServiceInProcess) -> None:
    made = V1(world).pipeline("orders", [CASCADE, shell("A")])
    browser = Browser(app_of(world))
    browser.sign_in("other")
    for tab in ("graph", "schedule", "audit"):
        assert browser.get(f"/p/{made}/{tab}").status == 404, tab
    assert made not in browser.follow("/audit")
    browser = Browser(app_of(world))
    browser.sign_in("bound")
    assert browser.get("/audit").status == 403


def test_keys_are_told_on_every_page_and_need_no_script_to_be_hidden(visitor: Browser) -> None:
    page = visitor.follow("/")
    assert '<dialog id="keys" aria-labelledby="keys-title">' in page
    told = set(re.findall(r"<kbd>g (\w)</kbd>", page))
    assert set(re.findall(r'data-go="(\w)"', page)) <= told
