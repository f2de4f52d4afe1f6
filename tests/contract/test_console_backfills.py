"""Backfills in the console: listed, looked at run by run, paused, resumed and canceled."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from taskrunner.testing import ServiceInProcess
from tests.contract.browser import Browser, app_of
from tests.contract.stores import ON_SQLITE
from tests.contract.v1 import V1
from tests.unit.service.worlds import schedule, scheduled, shell

pytestmark = ON_SQLITE

NASTY = "<script>alert(1)</script>"
SPAN = {"first": "2026-02-13T02:00:00Z", "last": "2026-02-13T04:00:00Z"}
CHAIN = [scheduled(maxActiveInstances="1"), schedule(), shell("A"), shell("B", after="A")]


@pytest.fixture
def made(world: ServiceInProcess) -> str:
    """A pipeline with three periods in the past, which were not made."""
    v1, made = V1(world), V1(world).pipeline(f"p {NASTY}", CHAIN, activate=False)
    world.advance(timedelta(hours=2, minutes=30))
    v1.did(f"/pipelines/{made}/activate", start="2026-02-13T05:00:00Z")
    return made


@pytest.fixture
def operator(world: ServiceInProcess, made: str) -> Browser:
    """Somebody who signs in once these periods are over: a session does not last as long."""
    browser = Browser(app_of(world))
    browser.sign_in("operator")
    return browser


def press(browser: Browser, words: str) -> None:
    answer = browser.post(*browser.form_of(words))
    assert answer.status == 303, answer.body
    browser.follow(answer.headers["location"])


def test_who_asks_for_one_is_led_to_it_and_sees_how_far_it_is(
    world: ServiceInProcess, made: str, operator: Browser
) -> None:
    page = operator.follow(f"/p/{made}/backfill?first={SPAN['first']}&last={SPAN['last']}")
    assert "Backfill: 3 runs" in page
    press(operator, "Run 3 runs")
    (one,) = V1(world).got("/backfills")["backfills"]
    assert f"Backfill {one['id']}" in operator.page
    assert "3 runs are run." in operator.page
    assert "3 of 3 periods set going" in operator.page
    assert operator.page.count("data-row>2026-02-13 0") == 3
    assert f"taskrunner backfill show {one['id']}" in operator.page
    world.settle()
    world.work_off()
    page = operator.follow(f"/p/{made}/backfills/{one['id']}")
    assert "6 of 6 instances ended" in page
    assert "6 finished" in page
    # Nothing of it is left to be done anything about.
    assert "/do/" not in page[page.index('<div id="live"') :]
    for path in ("/backfills", f"/p/{made}/backfills"):
        assert f'href="/p/{made}/backfills/{one["id"]}"' in operator.follow(path)
        assert "by operator-user" in operator.page


def test_it_is_asked_for_with_a_limit_and_an_order(
    world: ServiceInProcess, made: str, operator: Browser
) -> None:
    address = f"/p/{made}/backfill?first={SPAN['first']}&last={SPAN['last']}"
    page = operator.follow(f"{address}&redo=missing&limit=1&order=newest")
    assert "--redo missing --limit 1 --order newest" in page
    press(operator, "Run 3 runs")
    assert "1 of 3 periods set going" in operator.page
    assert "1 at once, the newest first" in operator.page
    assert 'role="alert"' in operator.follow(f"{address}&order=newest")
    assert "takes a limit" in operator.page


def test_it_is_paused_resumed_and_canceled_once_one_is_sure(
    world: ServiceInProcess, made: str, operator: Browser
) -> None:
    key = V1(world).did(f"/pipelines/{made}/backfill", **SPAN)["backfill_id"]
    operator.follow(f"/p/{made}/backfills/{key}")
    press(operator, ">Pause it<")
    assert "Nothing new of it begins" in operator.page
    assert V1(world).got(f"/backfills/{key}")["state"] == "PAUSED"
    press(operator, ">Resume it<")
    assert V1(world).got(f"/backfills/{key}")["state"] == "RUNNING"
    operator.follow(f"/p/{made}/backfills/{key}?sure=cancel")
    assert "6 instances of it have not ended." in operator.page
    assert f"taskrunner backfill cancel {key}" in operator.page
    assert V1(world).got(f"/backfills/{key}")["state"] == "RUNNING"
    press(operator, "Cancel the backfill")
    assert V1(world).got(f"/backfills/{key}")["counts"] == {"CANCELED": 6}
    assert "What of it had not ended is canceled." in operator.page
    # That it is over is told where somebody comes back to the question.
    assert "Cancel the backfill" not in operator.follow(f"/p/{made}/backfills/{key}?sure=cancel")


def test_a_backfill_is_its_own_pipelines_and_its_accounts(
    world: ServiceInProcess, made: str, operator: Browser
) -> None:
    other = V1(world).pipeline("other", CHAIN)
    key = V1(world).did(f"/pipelines/{made}/backfill", **SPAN)["backfill_id"]
    assert operator.get(f"/p/{other}/backfills/{key}").status == 404
    assert operator.get(f"/p/{made}/backfills/bf-0").status == 404
    stranger = Browser(operator.app)
    stranger.sign_in("other")
    assert stranger.get(f"/p/{made}/backfills/{key}").status == 404
    assert key not in stranger.follow("/backfills")
    operator.follow(f"/p/{made}/backfills/{key}")
    form = operator.own_form()
    for path in (f"/p/{other}/backfills/{key}/do/pause", f"/p/{made}/backfills/{key}/do/explode"):
        assert operator.post(path, form).status == 404
    assert V1(world).got(f"/backfills/{key}")["state"] == "RUNNING"


def test_what_somebody_gave_as_a_reason_is_text(
    world: ServiceInProcess, made: str, operator: Browser
) -> None:
    key = V1(world).did(f"/pipelines/{made}/backfill", **SPAN, reason=NASTY)["backfill_id"]
    for path in ("/backfills", f"/p/{made}/backfills", f"/p/{made}/backfills/{key}"):
        page = operator.follow(path)
        assert html.escape(NASTY) in page
        assert NASTY not in page


def test_a_long_list_comes_in_pages(
    world: ServiceInProcess, made: str, operator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        world.advance(timedelta(seconds=1))
        world.work_off()
        V1(world).did(f"/pipelines/{made}/backfill", **SPAN, redo="all")
    ids = [one["id"] for one in V1(world).got("/backfills")["backfills"]]
    monkeypatch.setattr("taskrunner.console.pages.backfills._ON_PAGE", "1")
    page = operator.follow(f"/p/{made}/backfills")
    assert [key in page for key in ids] == [True, False]
    (more,) = re.findall(r'href="([^"]+marker=[^"]+)"', page)
    page = operator.follow(html.unescape(more))
    assert [key in page for key in ids] == [False, True]
