"""The console: who may look and act, what pages hold, and that no other page can act for them."""

from __future__ import annotations

import gzip
import html
import re
import threading

import pytest

from taskrunner.service import sessions as session_rules
from taskrunner.service.auth_keys import RUNNERS_WORK, Key
from taskrunner.service.cleaner import ROUND_S
from taskrunner.testing import ServiceInProcess
from tests.contract.browser import Browser, app_of
from tests.contract.v1 import KEYS, V1, seg
from tests.unit.service.worlds import ON_DEMAND, schedule, scheduled, shell

NASTY = "<script>alert(1)</script> \"'& \u202e"
HOURLY = [scheduled(maxActiveInstances="5"), schedule(), shell("A")]


@pytest.fixture
def visitor(world: ServiceInProcess) -> Browser:
    """Somebody who has signed in with a viewer's key."""
    browser = Browser(app_of(world))
    browser.sign_in("viewer")
    return browser


# -- signing in --------------------------------------------------------------------------


def test_who_has_not_signed_in_is_led_to_the_page_for_it(world: ServiceInProcess) -> None:
    browser = Browser(app_of(world))
    answer = browser.get("/p/df-1/grid")
    assert (answer.status, answer.headers["location"]) == (303, "/console/enter?to=/p/df-1/grid")
    assert "taskrunner login http://127.0.0.1:8484" in browser.follow("/p/df-1/grid")
    # A part of a page that is asked for by a script says so, and is not that page.
    assert browser.get("/", **{"hx-request": "true"}).status == 401


def test_a_ticket_is_good_once_and_for_a_minute(world: ServiceInProcess) -> None:
    browser = Browser(app_of(world))
    ticket = browser.ticket("viewer")
    assert browser.enter(ticket, "/p/x").headers["location"] == "/p/x"
    assert "<h1>Pipelines</h1>" in browser.follow("/")
    other = Browser(browser.app)
    assert other.post("/console/enter", {"ticket": ticket}).status == 401
    late = browser.ticket("viewer")
    world.clock.advance(session_rules.TICKET_LIFE.total_seconds())
    assert other.post("/console/enter", {"ticket": late}).status == 401
    assert other.post("/console/enter", {"ticket": "guessed"}).status == 401
    assert not other.cookies


def test_a_ticket_is_for_the_holder_of_a_key_alone(world: ServiceInProcess) -> None:
    browser = Browser(app_of(world))
    assert browser.send("POST", "/v1/console/ticket", b"{}", {"x": "y"}).status == 401


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil", "x"])
def test_signing_in_leads_to_pages_of_this_console_only(
    world: ServiceInProcess, target: str
) -> None:
    browser = Browser(app_of(world))
    assert browser.enter(browser.ticket("viewer"), target).headers["location"] == "/"


def test_nobody_is_signed_in_by_a_page_of_another_origin(world: ServiceInProcess) -> None:
    """Else what a victim does next would be done with the attacker's key."""
    browser = Browser(app_of(world))
    form = {"ticket": browser.ticket("viewer"), "key": "viewer"}
    answer = browser.post("/console/enter", form, **{"sec-fetch-site": "cross-site"})
    assert answer.status == 403
    assert not browser.cookies


def test_nobody_becomes_who_a_link_says_without_being_asked(world: ServiceInProcess) -> None:
    """A link with a stranger's ticket has a page send it: that alone signs nobody in."""
    browser = Browser(app_of(world))
    ticket = browser.ticket("operator")
    assert browser.post("/console/enter", {"ticket": ticket, "to": "/p/x"}).status == 200
    assert not browser.cookies
    assert "Sign in as operator-user?" in browser.page
    assert "access key operator " in browser.page
    # What confirms another key than the page would name confirms nothing.
    assert browser.post("/console/enter", {"ticket": ticket, "key": "viewer"}).status == 200
    assert not browser.cookies
    assert browser.enter(ticket, "/p/x").headers["location"] == "/p/x"
    assert "operator-user" in browser.follow("/")


def test_who_is_signed_in_becomes_nobody_else_unasked(
    world: ServiceInProcess, visitor: Browser
) -> None:
    own = dict(visitor.cookies)
    copy = Browser(visitor.app)
    copy.cookies = dict(own)
    ticket = visitor.ticket("operator")
    for form in ({}, {"key": "operator"}, {"key": "operator", "in_place_of": "admin"}):
        assert visitor.post("/console/enter", {"ticket": ticket, **form}).status == 200
        assert visitor.cookies == own
        assert "You are signed in as viewer-user" in visitor.page
    assert visitor.enter(ticket).status == 303
    assert "operator-user" in visitor.follow("/")
    # The session whose place it took is over.
    assert copy.get("/").status == 303


def test_the_same_key_signs_in_again_without_a_question(
    world: ServiceInProcess, visitor: Browser
) -> None:
    assert visitor.post("/console/enter", {"ticket": visitor.ticket("viewer")}).status == 303


def test_over_plain_http_from_elsewhere_nobody_signs_in(world: ServiceInProcess) -> None:
    plain = Browser(app_of(world))
    assert plain.send("GET", "/console/enter", headers={"host": "10.0.0.5:8484"}).status == 403
    behind_proxy = Browser(app_of(world, url="https://pipelines.example.com"))
    answer = behind_proxy.send("GET", "/console/enter", headers={"host": "10.0.0.5:8484"})
    assert answer.status == 200
    assert "taskrunner login https://pipelines.example.com" in behind_proxy.page


def test_a_session_ends_when_it_is_not_used_and_after_half_a_day(
    world: ServiceInProcess, visitor: Browser
) -> None:
    for _ in range(23):
        world.clock.advance(1800)
        assert visitor.get("/").status == 200
    world.clock.advance(1800)
    assert visitor.get("/").status == 303
    visitor.sign_in("viewer")
    world.clock.advance(session_rules.IDLE_LIFE.total_seconds())
    assert visitor.get("/").status == 303


def test_a_page_that_is_open_by_itself_keeps_no_session_up(
    world: ServiceInProcess, visitor: Browser
) -> None:
    half = session_rules.IDLE_LIFE.total_seconds() / 2
    world.clock.advance(half)
    assert visitor.get("/", **{"hx-request": "true"}).status == 200
    world.clock.advance(half)
    assert visitor.get("/", **{"hx-request": "true"}).status == 401
    assert visitor.get("/").status == 303


def test_a_session_ends_with_its_key(world: ServiceInProcess) -> None:
    keys = dict(KEYS)
    browser = Browser(app_of(world, keys))
    browser.sign_in("viewer")
    assert browser.get("/").status == 200
    was = keys.pop("viewer")
    assert browser.get("/").status == 303
    changed = {name: getattr(was, name) for name in Key.__slots__}
    keys["viewer"] = Key(**{**changed, "secret": "another secret of sixteen or more"})
    assert browser.get("/").status == 303
    keys["viewer"] = was
    assert browser.get("/").status == 200


def test_signing_out_ends_the_session_for_whoever_has_its_cookie(visitor: Browser) -> None:
    visitor.follow("/")
    copy = Browser(visitor.app)
    copy.cookies = dict(visitor.cookies)
    assert visitor.post("/console/leave", {}).status == 403
    visitor.follow("/")
    assert visitor.post("/console/leave", visitor.own_form()).status == 303
    assert not visitor.cookies
    assert copy.get("/").status == 303


def test_the_store_knows_no_token(world: ServiceInProcess, visitor: Browser) -> None:
    (token,) = visitor.cookies.values()
    ticket = visitor.ticket("viewer")
    with world.service.store.read() as conn:
        rows = str(conn.exec_driver_sql("select * from sessions").all())
    assert token not in rows
    assert ticket not in rows
    assert KEYS["viewer"].secret not in rows


def test_a_key_has_so_many_sessions_and_the_oldest_make_room(
    world: ServiceInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_rules, "MOST_OF_KEY", 2)
    browsers = [Browser(app_of(world)) for _ in range(3)]
    for browser in browsers:
        browser.sign_in("viewer")
        world.clock.advance(1)
    assert [browser.get("/").status for browser in browsers] == [303, 200, 200]


def test_old_sessions_are_forgotten(world: ServiceInProcess, visitor: Browser) -> None:
    def rows() -> int:
        with world.service.store.read() as conn:
            return len(conn.exec_driver_sql("select 1 from sessions").all())

    def clean() -> None:
        while world.service.cleaner.step(world.clock.now()) < ROUND_S:
            pass

    visitor.follow("/")
    clean()
    assert rows() == 1
    world.clock.advance(session_rules.IDLE_LIFE.total_seconds())
    clean()
    assert rows() == 0


# -- what a visitor may ------------------------------------------------------------------


def test_a_visitor_sees_what_the_key_sees(world: ServiceInProcess) -> None:
    made = V1(world).pipeline("of-this-account", HOURLY)
    browser = Browser(app_of(world))
    browser.sign_in("viewer")
    assert "of-this-account" in browser.follow("/")
    browser.sign_in("other")
    assert "of-this-account" not in browser.follow("/")
    answer = browser.get(f"/p/{made}/grid")
    assert answer.status == 404
    assert made in browser.page


def test_a_runners_key_opens_no_page_that_its_role_does_not_allow(world: ServiceInProcess) -> None:
    browser = Browser(app_of(world))
    browser.sign_in("runner")
    assert browser.get("/").status == 403


def test_no_session_may_do_the_work_of_runners() -> None:
    for key in KEYS.values():
        assert not session_rules.visitors(key.actions) & RUNNERS_WORK
    assert not session_rules.visitors(None) & RUNNERS_WORK


def test_without_keys_everybody_of_this_host_is_the_same_visitor(world: ServiceInProcess) -> None:
    browser = Browser(app_of(world, None))
    assert browser.get("/").status == 200
    assert "anonymous" in browser.page
    assert browser.get("/console/enter").headers["location"] == "/"


# -- pages -------------------------------------------------------------------------------


def test_every_page_of_a_pipeline_shows_what_its_name_says(
    world: ServiceInProcess, visitor: Browser
) -> None:
    made = V1(world).pipeline("orders", [ON_DEMAND, shell("A"), shell("B", after="A")])
    world.conclude(world.take(), "FAILED", "CommandFailed", "exit code 1")
    page = visitor.follow(f"/p/{made}")
    assert "orders" in page
    instance = next(
        part.split('"')[0] for part in page.split('href="') if "/i/" in part.split('"')[0]
    )
    assert "CommandFailed" in visitor.follow(html.unescape(instance) + "/1")
    assert "handed out to" in visitor.page
    assert visitor.get(html.unescape(instance) + "/7").status == 404
    assert "1 " in visitor.follow(f"/p/{made}/runs")
    assert "ShellCommandActivity" in visitor.follow(f"/p/{made}/definition")
    run = next(
        part.split('"')[0]
        for part in visitor.follow(f"/p/{made}/runs").split('href="')
        if "/run/" in part.split('"')[0]
    )
    assert "ShellCommandActivity" in visitor.follow(run)
    assert visitor.get(f"/p/{made}/run/yesterday").status == 400


def test_an_empty_service_says_how_to_make_the_first_pipeline(
    world: ServiceInProcess, visitor: Browser
) -> None:
    page = visitor.follow("/")
    # As it is, in a shell that knows nothing of this service.
    here = "--endpoint http://127.0.0.1:8484</pre>"
    assert f"taskrunner pipelines put examples/hello/pipeline.json {here}" in page
    assert f"taskrunner --worker-group hello-workers --s3-root taskrunner-work/s3 {here}" in page
    made = V1(world).pipeline("waiting", HOURLY, activate=False)
    assert "Nothing has run yet" in visitor.follow(f"/p/{made}/grid")
    assert "Nothing has run yet" in visitor.follow(f"/p/{made}/runs")


def test_what_others_say_is_text_on_every_page(world: ServiceInProcess, visitor: Browser) -> None:
    made = V1(world).pipeline(
        NASTY, [ON_DEMAND, shell("A", command=NASTY, name=NASTY)], tags={"<i>t</i>": NASTY}
    )
    world.conclude(world.take(), "FAILED", "CommandFailed", NASTY)
    pages = [visitor.follow(path) for path in ("/", f"/p/{made}/grid", f"/p/{made}/runs")]
    pages += [visitor.follow(f"/p/{made}/definition"), visitor.follow(f"/?filter={NASTY[:8]}'")]
    instance = next(
        part.split('"')[0] for part in pages[1].split('href="') if "/i/" in part.split('"')[0]
    )
    pages.append(visitor.follow(html.unescape(instance) + "/1"))
    for page in pages:
        assert "<script>alert" not in page
        assert "<i>t" not in page
    assert html.escape("<script>alert(1)</script>") in pages[-1]


def test_the_list_takes_filters_and_says_what_it_cannot_read(
    world: ServiceInProcess, visitor: Browser
) -> None:
    v1 = V1(world)
    v1.pipeline("orders", HOURLY, tags={"team": "bi"})
    v1.pipeline("invoices", HOURLY)
    assert "invoices" not in visitor.follow("/?filter=tag:team%3Dbi")
    assert "invoices" not in visitor.follow("/?filter=ord")
    assert "No pipeline matches" in visitor.follow("/?filter=nothing")
    assert "owner:me" in visitor.follow("/?filter=owner:me")
    assert "state" in visitor.follow("/?filter=state:sleeping")
    first = visitor.follow("/?limit=1&sort=name")
    assert "invoices" in first
    assert "orders" not in first.replace("late orders", "")
    more = next(part.split('"')[0] for part in first.split('href="') if part.startswith("/?"))
    assert "orders" in visitor.follow(html.unescape(more)).replace("late orders", "")


def test_a_part_that_a_script_asks_for_is_that_part(
    world: ServiceInProcess, visitor: Browser
) -> None:
    V1(world).pipeline("orders", HOURLY)
    answer = visitor.get("/", **{"hx-request": "true"})
    assert b"orders" in answer.body
    assert b"<html" not in answer.body


def test_files_are_served_with_their_kinds_to_keep(visitor: Browser) -> None:
    page = visitor.follow("/")
    address = next(part.split('"')[0] for part in page.split('href="') if ".css" in part)
    answer = visitor.get(address, **{"accept-encoding": "gzip"})
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    assert visitor.get("/console/static/x/VENDORED.md").status == 404


def test_large_pages_are_packed_in_the_threads_of_the_pool(
    world: ServiceInProcess, visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the event loop everybody else would wait for it."""
    packers: list[str] = []
    compress = gzip.compress

    def spied(body: bytes, *given: object, **more: object) -> bytes:
        packers.append(threading.current_thread().name)
        return compress(body, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(gzip, "compress", spied)
    assert visitor.get("/", **{"accept-encoding": "gzip"}).headers["content-encoding"] == "gzip"
    assert packers
    assert threading.current_thread().name not in packers


def test_the_theme_and_a_pause_lead_back_to_all_of_the_address(world: ServiceInProcess) -> None:
    made = V1(world).pipeline("orders", HOURLY)
    browser = Browser(app_of(world))
    browser.sign_in("operator")
    page = f"/p/{made}/grid?n=3&until=2026-02-14T00%3A00%3A00%2B00%3A00"
    for words in (">Dark<", ">Pause<"):
        browser.follow(f"{page}&done=resume")
        address, form = browser.form_of(words)
        assert form["to"] == [page]
        assert browser.post(address, form).headers["location"].startswith(page)
    # A page that a form was answered with cannot be asked for: the form's own page can.
    browser.follow("/?filter=orders&sort=name")
    assert browser.post("/bulk/pause", browser.own_form(ids=[made], to="/?sort=name")).status == 200
    assert browser.form_of(">Dark<")[1]["to"] == ["/?sort=name"]


def test_who_signs_in_anew_comes_back_to_all_of_the_address(world: ServiceInProcess) -> None:
    browser = Browser(app_of(world))
    page = "/p/df-1/i/%40a%2Fb_1/1/log?stream=StdError&offset=7"
    browser.follow(page)
    (target,) = re.findall(r'name="to" value="([^"]*)"', browser.page)
    answer = browser.enter(browser.ticket("viewer"), html.unescape(target))
    assert answer.headers["location"] == page


def test_a_theme_is_kept(visitor: Browser) -> None:
    assert "data-theme" not in visitor.follow("/")
    assert visitor.post("/console/theme", {"theme": "dark", "to": "/"}).status == 303
    assert 'data-theme="dark"' in visitor.follow("/")


def test_pages_tell_what_went_wrong_in_the_service(
    world: ServiceInProcess, visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(world.service), "loaded", broken)
    made = V1(world).pipeline("orders", HOURLY, activate=False)
    assert visitor.get(f"/p/{made}/grid").status == 500
    assert "secret detail" not in visitor.page
    assert "request id" in visitor.page


def test_what_waits_is_shown_by_its_cause_with_the_command_that_mends_it(
    world: ServiceInProcess, visitor: Browser
) -> None:
    made = V1(world).pipeline("orders", [ON_DEMAND, shell("A"), shell("B", after="A")])
    (causes,) = {
        cause["says"]
        for one in V1(world).got(f"/pipelines/{made}/why")["waiting"]
        if one["component_id"] == "A"
        for cause in one["causes"]
    }
    for path in ("/waiting", f"/p/{made}/waiting"):
        page = visitor.follow(path)
        assert causes in html.unescape(page)
        assert "taskrunner --worker-group" in page
        # Both wait for the same in the end.
        assert page.count('<section class="cause">') == 1
    (first, *_) = V1(world).got(f"/pipelines/{made}/instances", component="A")["instances"]
    assert causes in html.unescape(visitor.follow(f"/p/{made}/i/{seg(first['id'])}"))


def test_agents_and_work_that_nobody_asks_for_are_shown(
    world: ServiceInProcess, visitor: Browser
) -> None:
    assert "No worker group has work" in visitor.follow("/agents")
    V1(world).pipeline("orders", [ON_DEMAND, shell("A", workerGroup="lonely")])
    page = visitor.follow("/agents")
    assert "nobody asks for its work" in page
    assert "No agent has been heard of" in visitor.follow("/agents?group=lonely")
