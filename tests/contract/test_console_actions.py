"""Actions of the console: what each does, what is shown before, and who is refused."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from starlette.routing import Route

from taskrunner.console.pages.actions import OF_INSTANCES, OF_PIPELINE
from taskrunner.console.pages.agents import ORDERS
from taskrunner.console.pages.backfills import OF_BACKFILL
from taskrunner.console.pages.bulk import BULK
from taskrunner.console.sign_in import ENTER_PATH, TICKET_PATH
from taskrunner.console.table import PAGES
from taskrunner.console.visit import form_token
from taskrunner.model.document import Definition
from taskrunner.model.reader import read_definition
from taskrunner.testing import ServiceInProcess
from tests.contract.browser import Browser, app_of
from tests.contract.stores import ON_SQLITE
from tests.contract.v1 import V1, seg
from tests.unit.service.worlds import ON_DEMAND, schedule, scheduled, shell

pytestmark = ON_SQLITE

TWO = [{**ON_DEMAND, "failureAndRerunMode": "CASCADE"}, shell("A"), shell("B", after="A")]
VALUES = {
    "objects": [ON_DEMAND, shell("A", command="echo #{myGreeting}")],
    "parameters": [
        {"id": "myGreeting", "type": "String", "default": "hello"},
        {"id": "*mySecret", "type": "String"},
    ],
    "values": {"*mySecret": "canary-of-secret"},
}


@pytest.fixture
def operator(world: ServiceInProcess) -> Browser:
    browser = Browser(app_of(world))
    browser.sign_in("operator")
    return browser


def failed(world: ServiceInProcess) -> tuple[str, str]:
    """A pipeline whose first activity has failed, and the page of that."""
    made = V1(world).pipeline("orders", TWO)
    for _ in range(3):
        world.conclude(world.take(), "FAILED", "CommandFailed", "exit code 1")
        world.advance(timedelta(minutes=11))
    (instance,) = [
        one
        for one in V1(world).got(f"/pipelines/{made}/instances")["instances"]
        if one["component_id"] == "A"
    ]
    assert instance["status"] == "FAILED"
    return made, f"/p/{made}/i/{seg(instance['id'])}"


def status_of(world: ServiceInProcess, made: str, component: str) -> str:
    found = V1(world).got(f"/pipelines/{made}/instances", component=component)["instances"]
    return str(found[0]["status"])


def press(browser: Browser, words: str) -> None:
    """Press a button, and follow where it leads."""
    answer = browser.post(*browser.form_of(words))
    if answer.status == 303:
        browser.follow(answer.headers["location"])
    else:
        assert answer.status == 200, answer.body


def test_a_failed_activity_is_rerun_by_one_press(
    world: ServiceInProcess, operator: Browser
) -> None:
    made, page = failed(world)
    assert "exit code 1" in operator.follow(page)
    press(operator, ">Rerun<")
    world.settle()
    assert "begin again." in operator.page
    assert status_of(world, made, "A") == "WAITING_FOR_RUNNER"


def test_what_comes_of_a_rerun_with_downstream_is_shown_before(
    world: ServiceInProcess, operator: Browser
) -> None:
    made, page = failed(world)
    operator.follow(page)
    press(operator, "with downstream")
    assert "Nothing has been done yet." in operator.page
    assert "@B_" in operator.page
    assert "--downstream" in operator.page
    assert status_of(world, made, "A") == "FAILED"
    press(operator, "Do it")
    world.settle()
    assert "2 instances begin again." in operator.page
    assert status_of(world, made, "B") == "WAITING_ON_DEPENDENCIES"


def test_marking_as_finished_lets_what_waits_go_on(
    world: ServiceInProcess, operator: Browser
) -> None:
    made, page = failed(world)
    operator.follow(page)
    press(operator, "Mark finished")
    press(operator, "Do it")
    world.settle()
    assert status_of(world, made, "A") == "FINISHED"
    assert "counts as finished" in operator.page


def test_what_goes_on_can_be_canceled_and_not_rerun(
    world: ServiceInProcess, operator: Browser
) -> None:
    made = V1(world).pipeline("orders", TWO)
    (first, *_) = V1(world).got(f"/pipelines/{made}/instances", component="A")["instances"]
    operator.follow(f"/p/{made}/i/{seg(first['id'])}")
    assert ">Rerun<" not in operator.page
    press(operator, "Cancel")
    press(operator, "Do it")
    world.settle()
    assert status_of(world, made, "A") == "CANCELED"


def test_a_pipeline_is_paused_and_resumed(world: ServiceInProcess, operator: Browser) -> None:
    made = V1(world).pipeline("orders", TWO)
    operator.follow(f"/p/{made}/grid")
    press(operator, ">Pause<")
    assert "by operator-user" in operator.page
    press(operator, ">Resume<")
    assert "It goes on." in operator.page
    assert ">Pause<" in operator.page


def test_values_of_parameters_are_asked_for_and_secrets_are_not_shown(
    world: ServiceInProcess,
) -> None:
    browser = Browser(app_of(world))
    browser.sign_in("author")
    made = V1(world).pipeline("greeter", _definition(), activate=False)
    page = browser.follow(f"/p/{made}/activate")
    assert "hello" in page
    assert "canary-of-secret" not in page
    form = browser.own_form(**{"value-myGreeting": "good morning"})
    assert browser.post(f"/p/{made}/activate", form).status == 303
    world.settle()
    assert "good morning" in str(world.take())


def test_a_run_on_demand_is_run_again_with_its_own_values_to_be_changed(
    world: ServiceInProcess,
) -> None:
    browser = Browser(app_of(world))
    browser.sign_in("author")
    made = V1(world).pipeline("greeter", _definition(), activate=False)
    for greeting in ("good morning", "good evening"):
        values = {"myGreeting": [greeting]}
        V1(world).did(f"/pipelines/{made}/activate", role="author", parameter_values=values)
        world.work_off()
        world.advance(timedelta(minutes=1))
    (second, first) = V1(world).got(f"/pipelines/{made}/instances")["instances"]
    browser.follow(f"/p/{made}/i/{seg(first['id'])}")
    (address,) = re.findall(rf'href="(/p/{made}/activate\?like=\d+)"', browser.page)
    assert address.endswith(f"like={first['version']}")
    page = browser.follow(address)
    assert 'placeholder="good evening" value="good morning"' in page
    assert f"taskrunner pipelines activate {made} -p &#39;myGreeting=good morning&#39;" in page
    assert "canary-of-secret" not in page
    form = browser.own_form(**{"value-myGreeting": "good morning, again"})
    assert browser.post(f"/p/{made}/activate", form).status == 303
    world.settle()
    assert "good morning, again" in str(world.take())
    # Who may give no values finds no such button; what is no version is said to be none.
    operator = Browser(browser.app)
    operator.sign_in("operator")
    assert "Run again with values" not in operator.follow(f"/p/{made}/i/{seg(second['id'])}")
    assert browser.get(f"/p/{made}/activate?like=99").status == 404


@pytest.mark.parametrize(("choice", "ended"), [("true", "CANCELED"), ("false", "RUNNING")])
def test_a_pipeline_is_deactivated_with_what_goes_on_or_without(
    world: ServiceInProcess, operator: Browser, choice: str, ended: str
) -> None:
    made = V1(world).pipeline("orders", TWO)
    world.take()
    page = operator.follow(f"/p/{made}/grid")
    assert f'href="/p/{made}/deactivate"' in page
    assert "1 instance of it runs, and 1 waits" in operator.follow(f"/p/{made}/deactivate")
    address, form = operator.form_of(">Deactivate<")
    answer = operator.post(address, {**form, "cancel_active": choice})
    assert answer.headers["location"] == f"/p/{made}/grid?done=deactivate"
    world.settle()
    assert status_of(world, made, "A") == ended
    assert f'href="/p/{made}/deactivate"' not in operator.follow(answer.headers["location"])


def test_a_form_that_is_sent_twice_counts_once(world: ServiceInProcess, operator: Browser) -> None:
    """Also without scripts, which would not let a button be pressed twice."""
    made = V1(world).pipeline("orders", [ON_DEMAND, shell("A")], activate=False)

    def runs() -> int:
        world.settle()
        world.advance(timedelta(minutes=1))  # runs on demand are told from each other by the minute
        return len(V1(world).got(f"/pipelines/{made}/runs")["runs"])

    operator.follow(f"/p/{made}/activate")
    form = operator.own_form()
    assert operator.post(f"/p/{made}/activate", form).status == 303
    assert runs() == 1
    again = operator.post(f"/p/{made}/activate", form)
    assert runs() == 1
    assert "That form was sent before" in operator.follow(again.headers["location"])
    operator.follow("/")
    sure = operator.own_form(ids=[made], sure="true", to="/?sort=name")
    assert operator.post("/bulk/activate", sure).status == 200
    assert runs() == 2
    again = operator.post("/bulk/activate", sure)
    assert again.headers["location"] == "/?sort=name&done=again"
    assert runs() == 2
    assert "That form was sent before" in operator.follow(again.headers["location"])
    # The page anew has a form anew.
    operator.follow(f"/p/{made}/activate")
    assert operator.post(f"/p/{made}/activate", operator.own_form()).status == 303
    assert runs() == 3


def test_a_form_that_was_refused_may_be_sent_again(
    world: ServiceInProcess, operator: Browser
) -> None:
    _, page = failed(world)
    operator.follow(page)
    address, form = operator.form_of(">Rerun<")
    ids, form["ids"] = form["ids"], ["@Nobody_2026-02-13T02:00:00"]
    for _ in range(2):
        assert operator.post(address, form).status in {400, 404}
    form["ids"] = ids
    assert operator.post(address, form).status == 303


def test_values_are_for_keys_that_may_put_definitions(
    world: ServiceInProcess, operator: Browser
) -> None:
    made = V1(world).pipeline("greeter", _definition(), activate=False)
    operator.follow(f"/p/{made}/activate")
    form = operator.own_form(**{"value-myGreeting": "x; rm -rf /"})
    assert operator.post(f"/p/{made}/activate", form).status == 403
    operator.follow(f"/p/{made}/activate")
    assert operator.post(f"/p/{made}/activate", operator.own_form()).status == 303


def test_a_backfill_shows_each_run_before_it_runs(
    world: ServiceInProcess, operator: Browser
) -> None:
    made = V1(world).pipeline("hourly", [scheduled(), schedule(), shell("A")])
    start = V1(world).got(f"/pipelines/{made}/runs")["runs"][-1]["start"]
    moment = start.replace("Z", "").replace("+00:00", "")
    page = operator.follow(f"/p/{made}/backfill?first={moment}&last={moment}&redo=all")
    assert "Backfill:" in page
    assert f"taskrunner backfill {made} {moment} {moment} --redo all" in page
    assert operator.get(f"/p/{made}/backfill?first=never&last=x").status == 200
    assert 'role="alert"' in operator.page


def test_many_pipelines_are_changed_after_a_look(
    world: ServiceInProcess, operator: Browser
) -> None:
    ids = [V1(world).pipeline(name, TWO) for name in ("one", "two", "three")]
    operator.follow("/")
    answer = operator.post("/bulk/pause", operator.own_form(ids=ids[:2]))
    assert answer.status == 200
    assert "Pause: 2 pipelines" in operator.page
    assert V1(world).got(f"/pipelines/{ids[0]}")["summary"].get("pause") is None
    press(operator, "Do it")
    assert "It is done." in operator.page
    paused = [bool(V1(world).got(f"/pipelines/{i}")["summary"].get("pause")) for i in ids]
    assert paused == [True, True, False]
    operator.follow("/")
    assert operator.post("/bulk/pause", operator.own_form()).status == 400
    operator.follow("/")
    assert operator.post("/bulk/explode", operator.own_form(ids=ids)).status == 404


def test_all_that_match_are_changed_a_portion_at_a_time(
    world: ServiceInProcess, operator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskrunner.console.pages.bulk.PORTION", 2)
    names = [f"of bi {number}" for number in range(5)]
    ids = {name: V1(world).pipeline(name, TWO, tags={"team": "bi"}) for name in names}
    ids["other"] = V1(world).pipeline("other", TWO)
    page = operator.follow("/?filter=tag:team%3Dbi&limit=1")
    assert "all 5 that match" in page
    form = operator.own_form(every="true", filter="tag:team=bi", to="/?filter=tag:team%3Dbi")
    assert operator.post("/bulk/pause", form).status == 200
    assert "Pause: 5 pipelines" in operator.page
    assert "and 3 more" in operator.page
    assert "taskrunner bulk pause --tag team=bi" in operator.page
    assert paused(world) == set()
    press(operator, "Do it")
    for done in (2, 4):
        assert f"{done} of 5 " in operator.page
        assert len(paused(world)) == done
        assert "data-goes-on" in operator.page
        portion = operator.form_of("Go on with the next")
        assert operator.post(*portion).status == 200
    assert "5 of 5 " in operator.page
    assert "It is done." in operator.page
    assert paused(world) == set(names)
    # A portion that is sent twice counts once.
    again = operator.post(*portion)
    assert again.headers["location"] == "/?filter=tag:team%3Dbi&done=again"
    operator.follow("/")
    form_of_all = operator.own_form(every="true", filter="")
    assert operator.post("/bulk/resume", form_of_all).status == 200
    assert "Resume: 6 pipelines" in operator.page
    assert "taskrunner bulk resume --every" in operator.page
    operator.follow("/")
    wrong = operator.own_form(every="true", filter="owner:me")
    assert operator.post("/bulk/resume", wrong).status == 400


def test_what_could_not_be_changed_of_many_is_told_at_the_end(
    world: ServiceInProcess, operator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskrunner.console.pages.bulk.PORTION", 1)
    wrong = [ON_DEMAND, {"id": "X", "type": "ShellCommandActivity"}]
    V1(world).pipeline("a <b>", wrong, activate=False)
    V1(world).pipeline("c", TWO, activate=False)
    operator.follow("/")
    form = operator.own_form(every="true", filter="", sure="true", to="/")
    assert operator.post("/bulk/activate", form).status == 200
    assert operator.post(*operator.form_of("Go on with the next")).status == 200
    assert "2 of 2 " in operator.page
    assert "1 pipeline could not be changed" in operator.page
    assert "a &lt;b&gt;: " in operator.page
    world.settle()
    assert [one["state"] for one in V1(world).got("/pipelines", sort="name")["pipelines"]] == [
        "PENDING",
        "SCHEDULED",
    ]


def paused(world: ServiceInProcess) -> set[str]:
    return {one["name"] for one in V1(world).got("/pipelines", state="PAUSED")["pipelines"]}


# -- who is refused ----------------------------------------------------------------------


#: Forms about the visitor alone, whatever the visitor's role (test_console_settings).
OWN = {"/settings/end-session"}
_OF_PIPELINE = ("activate", "alarms/retry")


def posts(made: str) -> dict[str, dict[str, object]]:
    """Every form of the console, with what it may hold."""
    moment = "2026-01-01T00:00:00Z"
    found: dict[str, dict[str, object]] = {f"/p/{made}/{verb}": {} for verb in _OF_PIPELINE}
    for verb in ORDERS:
        found[f"/agents/do/{verb}"] = {"ids": ["one"]}
    for verb in OF_INSTANCES:
        found[f"/p/{made}/do/{verb}"] = {}
        found[f"/p/{made}/plan/{verb}"] = {}
    for verb in OF_PIPELINE:
        found[f"/p/{made}/do/{verb}"] = {}
    found[f"/p/{made}/do/backfill"] = {"first": moment, "last": moment}
    found[f"/p/{made}/definition/edit"] = {"text": "{}", "based_on": "1", "put": "true"}
    for verb in OF_BACKFILL:
        found[f"/p/{made}/backfills/bf-1/do/{verb}"] = {}
    for verb in BULK:
        found[f"/bulk/{verb}"] = {"ids": [made]}
    return found


def putting(made: str) -> set[str]:
    """Those that say what pipelines do, which operators may not."""
    return {f"/p/{made}/definition/edit"}


@pytest.mark.usefixtures("kept")
def test_these_are_all_forms_that_there_are() -> None:
    patterns = [
        re.compile(re.sub(r"\{\w+\}", "[^/]+", page.path))
        for page in PAGES
        if page.method == "POST" and page.path not in OWN
    ]
    assert all(any(p.fullmatch(path) for p in patterns) for path in posts("df-1"))
    assert all(any(p.fullmatch(path) for path in posts("df-1")) for p in patterns)


def test_no_other_route_of_the_console_takes_a_form(world: ServiceInProcess) -> None:
    """A route beside the table, which nothing above tries, is one of signing in (test_console)."""
    known = {page.path for page in PAGES} | {"/", "/v1/{path:path}"}
    others = {
        route.path
        for route in app_of(world).routes
        if isinstance(route, Route) and "POST" in (route.methods or {"POST"})
    } - known
    assert others == {
        TICKET_PATH,
        ENTER_PATH,
        "/console/leave",
        "/console/theme",
        "/console/settings",
    }


def test_only_roles_that_may_change_something_do(world: ServiceInProcess) -> None:
    made = V1(world).pipeline("orders", TWO)
    for role in ("viewer", "runner", "operator", "author", "admin"):
        browser = Browser(app_of(world))
        browser.sign_in(role)
        for path, form in posts(made).items():
            browser.get("/console/enter")
            token = {"form_token": _token(browser)}
            answer = browser.post(path, {**form, **token})
            refused = answer.status == 403
            may_not = {"viewer", "runner", *(["operator"] if path in putting(made) else [])}
            assert refused is (role in may_not), (role, path, answer.body)
    assert "do/pause" not in _page_for(world, "viewer", f"/p/{made}/grid")


def test_another_accounts_pipeline_is_not_there(world: ServiceInProcess) -> None:
    made = V1(world).pipeline("orders", TWO)
    browser = Browser(app_of(world))
    browser.sign_in("other")
    for path, form in posts(made).items():
        answer = browser.post(path, {**form, "form_token": _token(browser), "sure": "true"})
        if path.startswith("/bulk/"):
            assert b"orders" not in answer.body
        else:
            assert answer.status == 404, path
    assert V1(world).got(f"/pipelines/{made}")["summary"].get("pause") is None


FOREIGN: list[dict[str, str | None]] = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": None, "origin": "https://evil.example"},
    {"sec-fetch-site": None, "origin": "null"},
]


def test_no_page_of_another_origin_changes_anything(
    world: ServiceInProcess, operator: Browser
) -> None:
    """Also one that knows a form's token."""
    made = V1(world).pipeline("orders", TWO)
    for path, form in posts(made).items():
        own = {**form, "form_token": _token(operator), "sure": "true"}
        for headers in FOREIGN:
            assert operator.post(path, own, **headers).status == 403, (path, headers)
    assert V1(world).got(f"/pipelines/{made}")["summary"].get("pause") is None


def test_a_form_without_the_sessions_token_changes_nothing(
    world: ServiceInProcess, operator: Browser
) -> None:
    made = V1(world).pipeline("orders", TWO)
    other = Browser(operator.app)
    other.sign_in("operator")
    for path, form in posts(made).items():
        for token in ("", "0.0", "ä", _token(other)):
            assert operator.post(path, {**form, "form_token": token}).status == 403, path
    anonymous = Browser(operator.app)
    for path, form in posts(made).items():
        answer = anonymous.post(path, {**form, "form_token": _token(operator)})
        assert answer.status in {303, 403}, path
    assert V1(world).got(f"/pipelines/{made}")["summary"].get("pause") is None


def test_no_get_changes_anything(world: ServiceInProcess, operator: Browser) -> None:
    made = V1(world).pipeline("orders", TWO)
    for path in posts(made):
        is_page = path.endswith(("/activate", "/edit")) and not path.startswith("/bulk")
        if not is_page:
            assert operator.get(path).status in {404, 405}, path
    assert operator.post("/", {}).status == 400  # AWS's API, which takes no forms


def _token(browser: Browser) -> str:
    (session,) = browser.cookies.values()
    return form_token(session)


def _page_for(world: ServiceInProcess, role: str, path: str) -> str:
    browser = Browser(app_of(world))
    browser.sign_in(role)
    return browser.follow(path)


def _definition() -> Definition:
    return read_definition(json.dumps(VALUES))
