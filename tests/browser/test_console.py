"""The console as people meet it: in every width and theme, by mouse, by keys, without scripts."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from taskrunner.model.log_names import folder_of, part_name, whole_name
from taskrunner.model.states import AlarmStatus
from taskrunner.service.callers import Caller
from taskrunner.service.roster import RunnerCall
from taskrunner.service.store import alarms as alarm_store
from taskrunner.testing.service import as_definition
from taskrunner.wire.user_agent import RunnerFacts
from tests.browser.conftest import Site
from tests.browser.looking import Look
from tests.contract.v1 import V1
from tests.unit.service.worlds import ON_DEMAND, alarm, ref, schedule, scheduled, shell

WIDTHS = [320, 1280, 1920]
THEMES = ["light", "dark"]
NASTY = '<img src=x onerror="window.hit=1"><script>window.hit=1</script> \' " & \u202e {{7*7}}'
CASCADE = {**ON_DEMAND, "failureAndRerunMode": "CASCADE"}
Opened = Callable[..., Look]
_NUMBERS = count(1)


@pytest.fixture(scope="module")
def made(site: Site) -> dict[str, str]:
    """Pipelines of all kinds: failed, waiting, scheduled, never activated, with a nasty name."""

    def make(v1: V1) -> dict[str, str]:
        two = [
            CASCADE,
            alarm("PageSomebody", subject="the orders failed: #{node.@status}"),
            # A group of their own: tests that ran before may have left tasks of other groups.
            shell(
                "Extract",
                pipelineLogUri="s3://logs/x",
                onFail=ref("PageSomebody"),
                workerGroup="orders",
            ),
            shell("Load", after="Extract", workerGroup="orders"),
        ]
        found = {"failed": v1.pipeline("orders to the warehouse", two, tags={"team": "bi"})}
        for _ in range(3):
            v1.world.conclude(v1.world.take("orders"), "FAILED", "CommandFailed", "exit code 1")
            v1.world.advance(timedelta(minutes=11))
        (one,) = v1.got(f"/pipelines/{found['failed']}/instances", component="Extract")["instances"]
        found["instance"] = one["id"]
        attempts = v1.got(f"/pipelines/{found['failed']}/instances/{quote(one['id'])}")["attempts"]
        place = folder_of("logs/x", found["failed"], "Extract", one["id"], attempts[1]["id"])
        (site.folder / place).mkdir(parents=True)
        lines = (f"row {n} was {'refused' if n % 90 == 0 else 'taken'}" for n in range(1, 400))
        log = "\n".join([*lines, f"refused: {NASTY}", ""])
        (site.folder / place / whole_name("StdOutput")).write_bytes(gzip.compress(log.encode()))
        hourly = [scheduled(maxActiveInstances="5"), schedule(), shell("Hourly")]
        found["hourly"] = v1.pipeline("every hour", hourly)
        found["waiting"] = v1.pipeline("waiting", [CASCADE, shell("A", workerGroup="nobody")])
        found["nasty"] = v1.pipeline(
            NASTY, [CASCADE, shell("A", command=NASTY, name=NASTY)], tags={"t": NASTY[:100]}
        )
        v1.pipeline("never activated", two, activate=False)
        checked = {"id": "IsItThere", "type": "ShellCommandPrecondition", "command": "true"}
        rows = {"id": "Rows", "type": "S3DataNode", "directoryPath": "s3://b/k"}
        write = shell("ExportAllOrdersOfTheWarehouseToTheLake", precondition=ref("IsItThere"))
        read = shell("Read", stage="true", input=ref("Rows"))
        found["checked"] = v1.pipeline(
            "checked", [CASCADE, checked, rows, {**write, "output": ref("Rows")}, read]
        )
        for name in ("vm-1:4711", "vm-2:4711"):
            facts = RunnerFacts(runner_id=name, slots=4, busy=1, groups=("etl",))
            caller = Caller(account="000000000000", user="runner")
            v1.world.service.roster.polled(RunnerCall(caller=caller, facts=facts), "etl", "vm-1")
        v1.world.service.roster.save(v1.world.now)
        v1.did("/agents/pause", ids=["vm-2:4711"], note="disk is changed", minutes=60)
        found["again"] = v1.pipeline(
            "run again", [{**CASCADE, "workerGroup": "again"}, *map(shell, ("A", "B", "C"))]
        )
        for seconds in (2, 40):
            tasks = [v1.world.take("again") for _ in range(3)]
            for task in tasks:
                v1.world.advance(timedelta(seconds=seconds))
                v1.world.conclude(task, "FINISHED")
            if seconds == 40:
                found["start"] = v1.got(f"/pipelines/{found['again']}/runs")["runs"][0]["start"]
            if seconds == 2:
                v1.did(f"/pipelines/{found['again']}/activate")
        found["edited"] = v1.pipeline("edited", [CASCADE, *map(shell, ("A", "B", "C"))])
        edited = [{**CASCADE, "schedule": ref("Gone")}, shell("A"), shell("D", retries="3")]
        v1.world.service.put_definition(found["edited"], as_definition(edited))
        # Given up, so that there is something to be done about it.
        v1.world.work_off()
        with v1.world.service.store.write() as conn:
            for row in alarm_store.load_alarms(conn, found["failed"]):
                given_up = {"status": AlarmStatus.FAILED, "tries": 12, "error": "not reached"}
                alarm_store.update_alarm(conn, row, **given_up)
        # Of a pipeline of its own: nothing of it runs, so that it stays as it is.
        past = [scheduled(maxActiveInstances="1"), schedule(), shell("Past", workerGroup="nobody")]
        found["past"] = v1.pipeline("of the past", past)
        v1.did(f"/pipelines/{found['past']}/cancel", component=["Past"])
        span = dict.fromkeys(("first", "last"), "2026-02-13T02:00:00Z")
        asked = v1.did(f"/pipelines/{found['past']}/backfill", **span, redo="all", reason=NASTY)
        found["backfill"] = asked["backfill_id"]
        v1.did(f"/pipelines/{found['failed']}/pause")
        v1.did(f"/pipelines/{found['failed']}/resume")
        return found

    return site.do(make)


def pages(made: dict[str, str]) -> dict[str, str]:
    """Every kind of page by a name for its picture."""
    failed, instance = made["failed"], quote(made["instance"], safe="@:")
    return {
        "pipelines": "/",
        "nothing-found": "/?filter=nothing",
        "wrong-filter": "/?filter=owner:me",
        "waiting": "/waiting",
        "agents": "/agents",
        "settings": "/settings",
        "grid": f"/p/{failed}/grid",
        "grid-hourly": f"/p/{made['hourly']}/grid",
        "graph": f"/p/{failed}/graph",
        "graph-checked": f"/p/{made['checked']}/graph",
        "audit": "/audit",
        "alarms": f"/p/{failed}/alarms",
        "pipeline-audit": f"/p/{failed}/audit",
        "schedule": f"/p/{made['hourly']}/schedule",
        "schedule-month": f"/p/{made['hourly']}/schedule?month=2026-02",
        "schedule-on-demand": f"/p/{failed}/schedule",
        "runs": f"/p/{failed}/runs",
        "run": f"/p/{made['again']}/run/{made['start']}",
        "compare": f"/p/{made['again']}/compare",
        "pipeline-waiting": f"/p/{made['waiting']}/waiting",
        "definition": f"/p/{made['nasty']}/definition",
        "definition-marks": f"/p/{made['edited']}/definition",
        "definition-diff": f"/p/{made['edited']}/definition?version=2&against=1",
        "definition-edit": f"/p/{made['nasty']}/definition/edit",
        "activate": f"/p/{failed}/activate",
        "deactivate": f"/p/{made['hourly']}/deactivate",
        "backfill": f"/p/{made['hourly']}/backfill?first=2026-02-13T02:00&last=2026-02-13T04:00"
        "&redo=all",
        "backfills": "/backfills",
        "pipeline-backfills": f"/p/{made['past']}/backfills",
        "one-backfill": f"/p/{made['past']}/backfills/{made['backfill']}",
        "backfill-cancel": f"/p/{made['past']}/backfills/{made['backfill']}?sure=cancel",
        "instance": f"/p/{failed}/i/{instance}",
        "log": f"/p/{failed}/i/{instance}/1/log",
        "log-lines": f"/p/{failed}/i/{instance}/2/log?offset=7000",
        "log-search": f"/p/{failed}/i/{instance}/2/log/search?text=REFUSED",
    }


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_right_at_every_width_and_in_both_themes(
    look: Opened, made: dict[str, str], width: int, theme: str
) -> None:
    window = look(width, theme)
    wrong: dict[str, Any] = {}
    for name, path in pages(made).items():
        window.to(path)
        window.shot(name)
        if found := window.violations():
            wrong[name] = found
        if out := window.sticks_out():
            wrong[f"{name} is too wide"] = out
    assert wrong == {}


def test_roomy_lines_are_right_too(look: Opened, made: dict[str, str]) -> None:
    window = look(320)
    window.page.context.add_cookies(
        [{"name": "taskrunner-roomy", "value": "yes", "url": window.url}]
    )
    wanted = pages(made)
    for name in ("pipelines", "grid", "run", "one-backfill", "definition-edit", "settings"):
        window.to(wanted[name])
        assert "roomy" in window.page.evaluate("document.documentElement.dataset"), name
        assert window.violations() == [], name
        assert window.sticks_out() == 0, name
        window.shot(f"roomy-{name}")


def test_what_axe_is_for_is_found(look: Opened, made: dict[str, str]) -> None:
    """The checks themselves find something where it is."""
    window = look().to("/")
    window.page.evaluate(
        "document.querySelector('#filter').labels[0].remove(), "
        "document.querySelector('#filter').removeAttribute('placeholder')"
    )
    assert any(one.startswith("label:") for one in window.violations())
    window.page.evaluate("document.querySelector('main').style.width = '3000px'")
    assert window.sticks_out() > 0
    assert window.complaints == []
    window.page.evaluate("fetch('https://elsewhere.invalid/').catch(() => 0)")
    window.page.wait_for_timeout(500)
    assert any("elsewhere" in one for one in window.complaints), window.complaints
    window.complaints.clear()


@pytest.fixture
def broken(site: Site) -> str:
    """The name of a pipeline that has failed, of one's own."""
    name = f"broken number {next(_NUMBERS)}"

    def make(v1: V1) -> None:
        v1.pipeline(name, [CASCADE, shell("Walk", workerGroup="walk"), shell("Go", after="Walk")])
        for _ in range(3):
            v1.world.conclude(v1.world.take("walk"), "FAILED", "CommandFailed", "exit code 1")
            v1.world.advance(timedelta(minutes=11))

    site.do(make)
    return name


def walk(window: Look, site: Site, broken: str, press: Callable[[str], None]) -> None:
    """From the list to the cause in two steps, to the rerun in one more, and see it finish."""
    window.to("/")
    press(broken)
    press("Walk, ")
    if (beside := window.page.locator("#panel")).count():
        beside.get_by_text("exit code 1").first.wait_for()
    assert "CommandFailed: exit code 1" in window.text()
    press("Rerun")
    assert "begin again." in window.text()
    site.do(lambda v1: v1.world.conclude(v1.world.take("walk"), "FINISHED"))
    window.page.reload()
    assert "finished" in window.text()


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
def test_two_clicks_lead_to_the_cause_and_one_to_the_rerun(
    look: Opened, site: Site, broken: str, scripts: bool
) -> None:
    window = look(java_script_enabled=scripts)

    def press(words: str) -> None:
        by_role = [window.page.get_by_role(role, name=words) for role in ("link", "button")]
        next(found for found in by_role if found.count()).first.click()
        window.page.wait_for_load_state()

    walk(window, site, broken, press)


def test_the_same_by_keys_alone(look: Opened, site: Site, broken: str) -> None:
    window = look()

    def press(words: str) -> None:
        keys = window.page.keyboard
        for _ in range(200):
            name = window.page.evaluate(
                "(document.activeElement.ariaLabel || document.activeElement.textContent || '')"
            )
            if str(name).strip().startswith(words):
                break
            in_grid = window.page.evaluate("document.activeElement.matches('.cell[href]')")
            keys.press("ArrowDown" if in_grid else "Tab")
        else:
            raise AssertionError(f"no way by keys to {words!r}")
        before = window.page.url
        keys.press("Enter")
        window.page.wait_for_url(lambda url: url != before)
        window.page.wait_for_load_state()

    walk(window, site, broken, press)


def test_keys_lead_through_lists_and_to_pages(look: Opened, made: dict[str, str]) -> None:
    window = look().to("/")
    keys = window.page.keyboard
    keys.press("/")
    assert window.page.evaluate("document.activeElement.id") == "filter"
    window.page.evaluate("document.activeElement.blur()")
    keys.press("j")
    first = window.page.evaluate("document.activeElement.textContent")
    keys.press("j")
    assert window.page.evaluate("document.activeElement.textContent") != first
    keys.press("k")
    assert window.page.evaluate("document.activeElement.textContent") == first
    keys.press("o")
    window.page.wait_for_url(re.compile("/grid$"))
    keys.press("g")
    keys.press("w")
    window.page.wait_for_url(re.compile("/waiting$"))


def test_a_key_shows_the_keys(look: Opened, made: dict[str, str]) -> None:
    window = look().to("/")
    listed = window.page.locator("#keys")
    assert not listed.is_visible()
    window.page.locator("#filter").press("?")
    assert not listed.is_visible(), "in a field it is a letter"
    window.page.evaluate("document.activeElement.blur()")
    window.page.keyboard.press("?")
    assert listed.is_visible()
    assert "to the filter of a list" in listed.inner_text()
    assert window.violations() == []
    window.page.keyboard.press("Escape")
    assert not listed.is_visible()
    window.page.keyboard.press("g")
    window.page.keyboard.press("u")
    window.page.wait_for_url(re.compile("/audit$"))


def test_the_graph_is_walked_by_keys_and_drawn_in_the_colors_of_the_theme(
    look: Opened, made: dict[str, str]
) -> None:
    grounds = set()
    for theme in THEMES:
        window = look(theme=theme).to(f"/p/{made['failed']}/graph")
        # In one call: a box that was found may since have been replaced, and has no colors then.
        grounds.add(
            window.page.evaluate(
                "getComputedStyle(document.querySelector('.graph a.bad rect')).fill"
            )
        )
    assert len(grounds) == len(THEMES)
    window.page.locator(".graph a.bad").first.focus()
    window.page.keyboard.press("Enter")
    window.page.wait_for_url(re.compile("/i/"))
    assert "CommandFailed" in window.text()


def test_a_cell_is_looked_at_beside_the_grid_and_several_are_rerun(
    look: Opened, site: Site, made: dict[str, str]
) -> None:
    names = [f"Step{number}" for number in range(3)]
    group = f"beside{next(_NUMBERS)}"
    steps = [shell(name, workerGroup=group, maximumRetries="0") for name in names]

    def make(v1: V1) -> str:
        key = v1.pipeline("beside", [CASCADE, *steps])
        for _ in names:
            v1.world.conclude(v1.world.take(group), "FAILED", "CommandFailed", "exit code 1")
        return key

    key = site.do(make)
    window = look().to(f"/p/{key}/grid")
    page, keys = window.page, window.page.keyboard
    page.locator(".cell[href]").first.focus()
    keys.press("Enter")
    page.wait_for_url(re.compile(r"cell=%40Step"))
    panel = page.locator("#panel")
    assert "CommandFailed: exit code 1" in panel.inner_text()
    assert window.violations() == []
    assert window.sticks_out() == 0
    window.shot("grid-beside")
    # The address shows the same to whoever it is sent to, also without scripts.
    assert (
        "CommandFailed"
        in look(java_script_enabled=False).to(page.url.removeprefix(window.url)).text()
    )
    keys.press("Escape")
    assert not panel.is_visible()
    assert "cell=" not in page.url
    assert page.evaluate("document.activeElement.matches('.cell[href]')"), "back in the grid"
    keys.press(" ")
    keys.press("ArrowDown")
    keys.press(" ")
    assert page.locator("#marked").inner_text().startswith("2 cells marked")
    assert page.locator("td[aria-selected=true]").count() == 2
    # They stay marked when the grid comes anew.
    page.evaluate("htmx.trigger('#live', 'changed')")
    page.wait_for_timeout(500)
    assert page.locator("td[aria-selected=true]").count() == 2
    assert window.violations() == []
    keys.press("r")
    page.wait_for_url(re.compile("/plan/rerun"))
    assert "Rerun: 2 instances" in window.text()
    page.get_by_role("button", name="Do it").click()
    assert "2 instances begin again." in window.text()


def test_rows_of_a_grid_are_collapsed_and_opened(look: Opened, made: dict[str, str]) -> None:
    window = look(320).to(f"/p/{made['again']}/grid?by=resource")
    assert window.violations() == []
    assert window.sticks_out() == 0
    rows = window.page.locator("table.grid tbody tr")
    assert rows.count() == 1
    window.page.locator("th a[aria-expanded]").click()
    window.page.wait_for_url(re.compile("open=worker"))
    assert rows.count() == 4


def test_a_grid_follows_what_happens_and_keeps_the_focus(look: Opened, site: Site) -> None:
    key = site.do(lambda v1: v1.pipeline("live", [CASCADE, shell("A"), shell("B", after="A")]))
    window = look().to(f"/p/{key}/grid")
    cell = window.page.locator(".cell").last
    cell.focus()
    was = window.page.evaluate("document.activeElement.href")
    window.page.wait_for_function("document.querySelector('[data-live]') !== null")
    window.page.wait_for_timeout(2500)
    site.do(lambda v1: v1.did(f"/pipelines/{key}/cancel", status=["WAITING_FOR_RUNNER"]))
    window.page.wait_for_selector(".cell[aria-label*='canceled']", timeout=20_000)
    assert window.page.evaluate("document.activeElement.href") == was


def test_the_theme_changes_and_what_was_typed_stays(look: Opened, made: dict[str, str]) -> None:
    window = look().to("/?sort=name")
    window.page.fill("#filter", "half a wo")
    window.page.get_by_role("button", name="Dark").click()
    assert window.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert window.page.input_value("#filter") == "half a wo"
    window.page.get_by_role("button", name="Light").wait_for()
    window.page.wait_for_function("document.cookie.includes('taskrunner-theme=dark')")
    assert window.to("/").page.evaluate("document.documentElement.dataset.theme") == "dark"
    plain = look(java_script_enabled=False).to("/?sort=name")
    plain.page.get_by_role("button", name="Dark").click()
    plain.page.wait_for_url("**/?sort=name")
    assert plain.page.get_attribute("html", "data-theme") == "dark"


def test_the_log_of_what_runs_is_followed_but_not_under_a_readers_eyes(
    look: Opened, site: Site
) -> None:
    said: list[str] = []

    def begin(v1: V1) -> str:
        shells = [CASCADE, shell("Talks", workerGroup="talk", pipelineLogUri="s3://logs/x")]
        key = v1.pipeline("talks", shells)
        task = v1.world.take("talk")
        (one,) = v1.got(f"/pipelines/{key}/instances")["instances"]
        said.append(folder_of("logs/x", key, "Talks", one["id"], task.attempt_id))
        return f"/p/{key}/i/{quote(one['id'], safe='@:')}/1/log"

    address = site.do(begin)
    folder = site.folder / said.pop()
    folder.mkdir(parents=True)

    def say(text: str) -> None:
        begin = sum(len(one) for one in said)
        said.append(text)
        part = part_name("StdOutput", begin, begin + len(text))
        (folder / part).write_bytes(gzip.compress(text.encode()))

    say("".join(f"line {number}\n" for number in range(200)))
    window = look().to(address)
    box = window.page.locator(".log.end")
    assert box.evaluate("box => box.scrollTop + box.clientHeight >= box.scrollHeight - 4")
    say("and more\n")
    # At once, not after the seconds that the page says.
    window.page.evaluate("document.querySelector('[data-follow]').dataset.follow = 0, follow()")
    window.page.get_by_text("and more").wait_for()
    assert box.evaluate("box => box.scrollTop + box.clientHeight >= box.scrollHeight - 4")
    box.evaluate("box => { box.scrollTop = 0; }")
    assert window.page.evaluate("isReading(document.getElementById('live'))")
    box.evaluate("box => { box.scrollTop = box.scrollHeight; }")
    assert not window.page.evaluate("isReading(document.getElementById('live'))")


def test_nothing_that_others_say_becomes_markup_or_runs(
    look: Opened, made: dict[str, str], site: Site
) -> None:
    window = look()
    key = made["nasty"]
    (one,) = site.do(lambda v1: v1.got(f"/pipelines/{key}/instances"))["instances"]
    paths = ["/", "/waiting", f"/?filter={quote(NASTY)}"]
    tabs = (
        "grid",
        "graph",
        "runs",
        "waiting",
        "definition",
        "schedule",
        "alarms",
        "audit",
        "activate",
        "activate?like=1",
        "backfills",
        "definition/edit",
        "grid?by=resource&open=worker+group+wg",
        f"grid?cell={quote(one['id'])}",
        f"run/{one['start']}",
    )
    paths += [f"/p/{key}/{tab}" for tab in tabs]
    paths.append(f"/p/{key}/i/{quote(one['id'], safe='@:')}")
    paths.append(f"/p/{made['failed']}/i/{quote(made['instance'])}/2/log/search?text=img")
    paths += ["/backfills", f"/p/{made['past']}/backfills/{made['backfill']}"]
    for path in paths:
        window.to(path)
        window.page.wait_for_timeout(50)
        assert window.page.evaluate("window.hit") is None, path
        assert window.page.locator("main img").count() == 0, path
    # What stands behind a name that turns the direction of writing is not turned with it.
    window.page.set_viewport_size({"width": 1920, "height": 900})
    crumbs = window.to(f"/p/{key}/definition/edit").page.locator(".crumbs a")
    name, behind = (crumbs.nth(number).bounding_box() for number in (1, 2))
    assert name["x"] + name["width"] <= behind["x"]


def test_a_text_that_a_page_would_take_for_a_script_does_nothing(look: Opened) -> None:
    """The policy holds where escaping would not."""
    window = look().to("/")
    window.page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('beforeend', "
        "'<img src=x onerror=\"window.hit=1\">')"
    )
    window.page.wait_for_timeout(300)
    assert window.page.evaluate("window.hit") is None
    refused = window.page.evaluate(
        "(() => { try { document.createElement('script').text = 'window.hit=1'; return 'taken'; }"
        " catch (error) { return error.name; } })()"
    )
    assert refused == "TypeError"
    assert any("policy" in one.lower() for one in window.complaints)
    window.complaints.clear()


def test_colors_of_a_log_are_shown_and_its_tricks_are_not(
    look: Opened, made: dict[str, str], site: Site
) -> None:
    key = made["failed"]
    (one, *_) = site.do(lambda v1: v1.got(f"/pipelines/{key}/instances/{quote(made['instance'])}"))[
        "attempts"
    ]
    folder = site.folder / folder_of("logs/x", key, "Extract", made["instance"], one["id"])
    folder.mkdir(parents=True)
    text = f"\x1b[31mred\x1b[0m {NASTY}\n\x1b]8;;https://evil.invalid\x07link\x1b]8;;\x07\n"
    (folder / whole_name("StdOutput")).write_bytes(gzip.compress(text.encode()))
    window = look().to(f"/p/{key}/i/{quote(made['instance'], safe='@:')}/1/log")
    assert window.page.locator(".ansi-red").inner_text() == "red"
    assert window.page.evaluate("window.hit") is None
    # The only links in it are the addresses of its lines.
    assert window.page.locator("main .log a:not(.here)").count() == 0
    assert "<img src=x" in window.text()


def test_a_line_that_was_found_is_shown_where_it_stands(look: Opened, made: dict[str, str]) -> None:
    """By keys alone: to the box, the text, the first line, its place."""
    window = look().to(f"/p/{made['failed']}/i/{quote(made['instance'], safe='@:')}/2/log")
    keys = window.page.keyboard
    keys.press("/")
    keys.type("row 180 WAS")
    keys.press("Enter")
    window.page.wait_for_url(re.compile("/log/search"))
    assert window.page.locator("mark").all_inner_texts() == ["row 180 was"]
    keys.press("j")
    keys.press("Enter")
    window.page.wait_for_url(re.compile(r"/log\?.*#b\d+$"))
    # Also once the page has been told that something changed, and has that part anew.
    window.page.evaluate("htmx.trigger('#live', 'changed')")
    window.page.wait_for_timeout(500)
    line = window.page.locator(".line.named")
    assert line.inner_text().strip("# \n") == "row 180 was refused"
    assert line.is_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
def test_a_definition_is_edited_checked_and_put(look: Opened, site: Site, scripts: bool) -> None:
    objects = [CASCADE, shell("A", command="echo one", workerGroup="nobody")]
    key = site.do(lambda v1: v1.pipeline(f"edited number {next(_NUMBERS)}", objects))
    window = look(java_script_enabled=scripts).to(f"/p/{key}/definition")
    page = window.page
    page.get_by_role("link", name="Edit …").click()
    text = page.input_value("textarea")
    page.fill("textarea", text.replace('"echo one"', '"#{wrong"'))
    page.get_by_role("button", name="Check").click()
    assert "1 error" in window.text()
    if scripts:
        assert window.violations() == []
        assert window.sticks_out() == 0
        window.shot("definition-checked")
        # From what is wrong to its place in the text.
        page.locator("a[data-line]").first.click()
        at = page.evaluate("document.activeElement.selectionStart")
        line = page.input_value("textarea")[:at].count("\n") + 1
        assert line == int(page.locator("a[data-line]").first.get_attribute("data-line") or 0)
    page.fill("textarea", text.replace('"echo one"', '"echo two"'))
    page.get_by_role("button", name="Put it").click()
    assert "It was changed since it was checked" in window.text()
    page.get_by_role("button", name="Put it").click()
    page.wait_for_url(re.compile("/definition"))
    assert "It is put as the latest version" in window.text()
    assert "echo two" in window.text()


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
def test_all_that_match_are_changed_portion_by_portion(
    look: Opened, site: Site, monkeypatch: pytest.MonkeyPatch, scripts: bool
) -> None:
    monkeypatch.setattr("taskrunner.console.pages.bulk.PORTION", 2)
    number = next(_NUMBERS)

    def make(v1: V1) -> None:
        for name in ("one", "two", "three"):
            v1.pipeline(f"bulk {number} {name}", [CASCADE, shell("A", workerGroup="nobody")])

    site.do(make)
    window = look(java_script_enabled=scripts).to("/?filter=" + quote(f"'bulk {number}'"))
    window.page.get_by_label("all 3 that match").check()
    window.page.get_by_role("button", name="Pause …").click()
    assert "Pause: 3 pipelines" in window.text()
    window.page.get_by_role("button", name="Do it").click()
    if not scripts:
        assert "2 of 3" in window.text()
        window.page.get_by_role("button", name="Go on with the next").click()
    window.page.get_by_text("It is done.").wait_for()
    assert "3 of 3" in window.text()
    paused = site.do(lambda v1: v1.got("/pipelines", name=f"bulk {number}", state="PAUSED"))
    assert paused["total"] == 3


def test_the_checks_are_those_that_were_published() -> None:
    told = re.findall(r"\| (\S+\.js) \|.*\b([0-9a-f]{64}) \|", _vendored())
    for name, mark in told:
        assert hashlib.sha256((Path(__file__).parent / name).read_bytes()).hexdigest() == mark
    assert told


def _vendored() -> str:
    return (Path(__file__).parent / "VENDORED.md").read_text(encoding="utf-8")
