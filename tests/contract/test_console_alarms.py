"""Alarms of a pipeline, by /v1 and in the console: what became of them, and once more."""

from __future__ import annotations

import html
import json

import pytest

from taskrunner.model.states import AlarmStatus
from taskrunner.service.store import alarms as alarm_store
from taskrunner.testing import ServiceInProcess
from tests.contract.browser import Browser, app_of
from tests.contract.v1 import V1
from tests.unit.service.worlds import ON_DEMAND, FakePublisher, alarm, refs, shell

NASTY = "<script>alert(1)</script>"
TOPIC = "arn:aws:sns:us-east-1:1:hidden"


@pytest.fixture
def world(kept: ServiceInProcess) -> ServiceInProcess:
    return kept.reset(publisher=FakePublisher())


def raised(world: ServiceInProcess, count: int = 3) -> str:
    """A pipeline with alarms of one moment, all of which were given up."""
    names = [f"Bad{number}" for number in range(count)]
    told = [alarm(name, subject=NASTY, message=f"{name} {NASTY}") for name in names]
    told[0] = alarm(names[0], topicArn="#{*t}")
    objects = [ON_DEMAND, *told, shell("A", onSuccess=refs(*names), **{"*t": TOPIC})]
    objects[1]["*t"] = TOPIC
    made = V1(world).pipeline("orders", objects)
    world.work_off()
    with world.service.store.write() as conn:
        for row in alarm_store.load_alarms(conn, made):
            alarm_store.update_alarm(
                conn, row, status=AlarmStatus.FAILED, tries=12, error=f"no {row.topic}"
            )
    return made


def test_alarms_are_told_page_by_page_and_by_their_state(world: ServiceInProcess) -> None:
    v1, made = V1(world), raised(world)
    whole = v1.got(f"/pipelines/{made}/alarms")["alarms"]
    assert {one["action_id"] for one in whole} == {"Bad0", "Bad1", "Bad2"}
    assert {(one["status"], one["tries"], one["event"]) for one in whole} == {
        ("FAILED", 12, "onSuccess")
    }
    found, marker = [], None
    while True:
        page = v1.got(
            f"/pipelines/{made}/alarms", limit=1, **({"marker": marker} if marker else {})
        )
        found += page["alarms"]
        marker = page.get("marker")
        if marker is None:
            break
    assert found == whole
    assert v1.got(f"/pipelines/{made}/alarms", status=["SENT"])["alarms"] == []
    assert v1.get(f"/pipelines/{made}/alarms", status=["NONE"]).status == 400
    assert v1.get(f"/pipelines/{made}/alarms", marker="x").status == 400
    assert v1.get(f"/pipelines/{made}/alarms", role="other").status == 404
    assert TOPIC not in json.dumps(whole), "nor in the error that names it"


def test_what_was_given_up_is_sent_after_all(world: ServiceInProcess) -> None:
    v1, made = V1(world), raised(world)
    other = raised_elsewhere(world)
    one = v1.got(f"/pipelines/{made}/alarms")["alarms"][0]["id"]
    path = f"/pipelines/{made}/alarms/retry"
    assert v1.post(path, role="viewer").status == 403
    assert v1.post(path, role="other").status in {403, 404}
    assert v1.did(path, ids=[one, one, "none"])["count"] == 1
    assert v1.did(path)["count"] == 2
    assert v1.did(path)["count"] == 0
    world.settle()
    statuses = {row.status for row in world.alarms(made)}
    assert statuses == {"SENT"}
    assert {row.status for row in world.alarms(other)} == {"FAILED"}
    told = [(row["user"], row["after"]) for row in v1.got("/audit", pipeline_id=made)["entries"]]
    assert ("operator-user", "1 alarms sent after all") in told
    assert ("operator-user", "2 alarms sent after all") in told


def raised_elsewhere(world: ServiceInProcess) -> str:
    """One more pipeline like that."""
    made = V1(world).pipeline("other", [ON_DEMAND, alarm("B"), shell("A", onSuccess=refs("B"))])
    world.work_off()
    with world.service.store.write() as conn:
        (row,) = alarm_store.load_alarms(conn, made)
        alarm_store.update_alarm(conn, row, status=AlarmStatus.FAILED, tries=12, error="away")
    return made


def test_the_page_shows_them_and_an_operator_sends_them_again(world: ServiceInProcess) -> None:
    made = raised(world, count=2)
    app = app_of(world)
    viewer = Browser(app)
    viewer.sign_in("viewer")
    page = viewer.follow(f"/p/{made}/alarms")
    assert "given up" in page
    assert NASTY not in page
    assert html.escape(NASTY) in page.replace("&#39;", "&#x27;")
    assert TOPIC not in page
    assert "alarms/retry" not in page
    operator = Browser(app)
    operator.sign_in("operator")
    operator.follow(f"/p/{made}/alarms")
    done = operator.post(f"/p/{made}/alarms/retry", operator.own_form())
    assert done.headers["location"] == f"/p/{made}/alarms?done=alarms:2"
    assert "2 alarms are sent after all." in operator.follow(done.headers["location"])
    world.settle()
    assert "given up</span>" not in operator.follow(f"/p/{made}/alarms")
    assert "There are none of these" in operator.follow(f"/p/{made}/alarms?status=FAILED")
