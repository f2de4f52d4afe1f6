"""What a visitor chooses for a browser, and the sessions of one's own key."""

from __future__ import annotations

import re
from datetime import timedelta

from taskrunner.console.cookies import zones
from taskrunner.service.sessions import IDLE_LIFE
from taskrunner.testing import ServiceInProcess
from tests.contract.browser import Browser, app_of
from tests.contract.v1 import V1
from tests.unit.service.worlds import ON_DEMAND, shell

ZONE = "Asia/Kolkata"


def visitor(world: ServiceInProcess, role: str = "viewer") -> Browser:
    """Somebody who has signed in with a role's key."""
    browser = Browser(app_of(world))
    browser.sign_in(role)
    return browser


def ids(browser: Browser) -> list[str]:
    """The sessions that the page would end."""
    return re.findall(r'name="id" value="([^"]+)"', browser.follow("/settings"))


def test_a_session_of_ones_own_is_ended_from_another_browser(world: ServiceInProcess) -> None:
    here, there = visitor(world), visitor(world)
    (one,) = ids(here)
    assert "this one" in here.page
    done = here.post("/settings/end-session", here.own_form(id=one))
    assert done.headers["location"] == "/settings?done=end-session"
    assert there.get("/").status == 303, "it has to sign in again"
    assert here.get("/").status == 200
    assert ids(here) == []
    assert here.post("/settings/end-session", here.own_form(id=one)).status == 404


def test_nobody_sees_or_ends_the_sessions_of_another_key(world: ServiceInProcess) -> None:
    mine, theirs = visitor(world), visitor(world, "admin")
    visitor(world, "admin")
    (one,) = ids(theirs)
    assert ids(mine) == []
    for wrong in (one, one[:5], "", "%", "_" * len(one)):
        mine.follow("/settings")
        assert mine.post("/settings/end-session", mine.own_form(id=wrong)).status == 404
    assert len(ids(theirs)) == 1
    mine.follow("/settings")
    assert mine.post("/settings/end-session", {"form_token": "x", "id": one}).status == 403


def test_a_session_that_is_over_is_not_told_of(world: ServiceInProcess) -> None:
    here = visitor(world)
    visitor(world)
    world.advance(IDLE_LIFE - timedelta(minutes=5))
    assert len(ids(here)) == 1
    world.advance(timedelta(minutes=6))
    assert ids(here) == []


def test_times_are_shown_in_the_zone_that_is_chosen(world: ServiceInProcess) -> None:
    v1 = V1(world)
    made = v1.pipeline("p", [ON_DEMAND, shell("A")])
    browser = visitor(world)
    plain = browser.follow(f"/p/{made}/runs")
    answer = browser.post("/console/settings", {"zone": ZONE, "still": "no"})
    assert answer.headers["location"] == "/settings?done=settings"
    page = browser.follow(f"/p/{made}/runs")
    assert "02:00" in plain
    assert ">UTC</a>" in plain
    assert "2026-02-13 07:30" in page
    assert f">{ZONE}</a>" in page
    # Addresses are the same for everybody, and whoever points at a time is told UTC.
    assert f"/p/{made}/run/2026-02-13T02:00:00Z" in page
    browser.post("/console/settings", {"zone": "UTC"})
    assert browser.follow(f"/p/{made}/runs") != page


def test_only_what_can_be_chosen_is_kept(world: ServiceInProcess) -> None:
    browser = visitor(world)
    for wrong in ("Nowhere/At_All", "../../etc/passwd", "<script>"):
        answer = browser.post("/console/settings", {"zone": wrong, "theme": "dark"})
        assert answer.headers["location"] == "/settings?done=no-zone"
        assert "There is no such time zone" in browser.follow("/settings?done=no-zone")
    browser.cookies["taskrunner-zone"] = "../../etc/passwd"
    assert browser.get("/settings").status == 200
    browser.cookies.pop("taskrunner-zone")
    assert "data-theme" not in browser.follow("/")
    assert ZONE in zones()


def test_pages_that_stay_as_they_are(world: ServiceInProcess) -> None:
    browser = visitor(world)
    assert "data-still" not in browser.follow("/")
    browser.post("/console/settings", {"still": "yes"})
    assert "data-still" in browser.follow("/")
    browser.post("/console/settings", {"still": "no"})
    assert "data-still" not in browser.follow("/")


def test_lines_are_dense_or_roomy(world: ServiceInProcess) -> None:
    browser = visitor(world)
    assert "data-roomy" not in browser.follow("/")
    browser.post("/console/settings", {"room": "roomy"})
    assert "data-roomy" in browser.follow("/")
    assert 'value="roomy" selected' in browser.follow("/settings")
    browser.post("/console/settings", {"room": "dense"})
    assert "data-roomy" not in browser.follow("/")
    browser.cookies["taskrunner-roomy"] = '"><script>'
    assert "data-roomy" not in browser.follow("/")


def test_another_origin_changes_no_setting(world: ServiceInProcess) -> None:
    browser = visitor(world)
    headers = {"sec-fetch-site": "cross-site"}
    assert browser.post("/console/settings", {"still": "yes"}, **headers).status == 403


def test_without_keys_there_are_no_sessions_to_end(world: ServiceInProcess) -> None:
    made = V1(world).pipeline("p", [ON_DEMAND, shell("A")])
    browser = Browser(app_of(world, None))
    assert "Where you are signed in" not in browser.follow("/settings")
    browser.follow(f"/p/{made}/grid")
    assert browser.post("/settings/end-session", browser.own_form(id="x" * 24)).status == 404
