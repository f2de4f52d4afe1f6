"""One run by /v1 and in the console: critical path, what was written, alarms."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest

from taskrunner.testing import ServiceInProcess
from tests.contract.browser import Browser, app_of
from tests.contract.v1 import V1
from tests.unit.service.worlds import ON_DEMAND, FakePublisher, T, alarm, ref, shell

NASTY = "<script>alert(1)</script>"
OBJECTS = [
    ON_DEMAND,
    alarm("Page", subject=NASTY),
    shell("Quick"),
    shell("Slow", onSuccess=ref("Page")),
    {**shell("Join"), "dependsOn": [ref("Quick"), ref("Slow")]},
    shell("After", after="Join"),
]


@pytest.fixture
def world(kept: ServiceInProcess) -> ServiceInProcess:
    return kept.reset(publisher=FakePublisher())


def ran(world: ServiceInProcess) -> str:
    """A pipeline whose run took as long as its slow activity and what came after."""
    made = V1(world).pipeline("orders", OBJECTS)
    first, second = world.take(), world.take()
    quick, slow = sorted((first, second), key=lambda task: task.component_id)
    counts = {"rows": "1200", "bytes": "3200000", "percent": "100"}
    assert not world.service.report_progress(slow.task_id, counts)
    world.service.report_progress(quick.task_id, {"items": "7", "files": "no number"})
    world.advance(timedelta(minutes=1))
    world.conclude(quick)
    world.advance(timedelta(minutes=3))
    world.conclude(slow)
    for _ in range(2):
        task = world.take()
        world.advance(timedelta(minutes=2))
        world.conclude(task)
    return made


def test_what_made_it_take_as_long_is_told_step_by_step(world: ServiceInProcess) -> None:
    made = ran(world)
    found = V1(world).got(f"/pipelines/{made}/runs/{T}Z")
    path = [one["component_id"] for one in found["critical_path"]]
    assert path == ["Slow", "Join", "After"]
    assert found["run"] == V1(world).got(f"/pipelines/{made}/runs")["runs"][0]
    steps = found["critical_path"]
    assert steps[0]["began"] == found["run"]["began"]
    assert steps[-1]["ended"] == found["run"]["ended"]


def test_what_activities_say_that_they_have_moved_is_told_and_added_up(
    world: ServiceInProcess,
) -> None:
    made = ran(world)
    found = V1(world).got(f"/pipelines/{made}/runs/{T}Z")
    written = {one["component_id"]: one for one in found["written"]}
    assert written.keys() == {"Quick", "Slow"}
    assert (written["Slow"]["rows"], written["Slow"]["bytes"]) == (1200, 3_200_000)
    assert written["Quick"] == {
        "instance_id": f"@Quick_{T}",
        "component_id": "Quick",
        "rows": 7,
    }
    assert found["total"] == {"rows": 1207, "bytes": 3_200_000}


def test_the_alarms_of_a_run_are_those_of_its_instances(world: ServiceInProcess) -> None:
    made = ran(world)
    world.advance(timedelta(hours=1))
    V1(world).did(f"/pipelines/{made}/activate")
    (second, first) = V1(world).got(f"/pipelines/{made}/runs")["runs"]
    (one,) = V1(world).got(f"/pipelines/{made}/runs/{first['start']}")["alarms"]
    assert (one["instance_id"], one["subject"]) == (f"@Slow_{T}", NASTY)
    assert V1(world).got(f"/pipelines/{made}/runs/{second['start']}")["alarms"] == []


def test_a_run_that_is_not_there_is_not_found(world: ServiceInProcess) -> None:
    made = ran(world)
    assert V1(world).get(f"/pipelines/{made}/runs/2020-01-01T00:00:00Z").status == 404
    assert V1(world).get(f"/pipelines/{made}/runs/yesterday").status == 400
    assert V1(world).get(f"/pipelines/{made}/runs/{T}Z", role="other").status == 404


def test_the_page_of_a_run_shows_it(world: ServiceInProcess) -> None:
    made = ran(world)
    visitor = Browser(app_of(world))
    visitor.sign_in("viewer")
    page = visitor.follow(f"/p/{made}/run/{T}Z")
    said = unescape(re.sub("<[^>]+>", "", page))
    assert "Critical path: Slow 4 min → Join 2 min → After 2 min." in said
    assert page.count('<span class="mark">critical</span>') == 3
    assert "Written in all: 1,207 rows, 3.2 MB" in said
    assert "1,200 rows, 3.2 MB" in said
    assert "Alarms of this run" in said
    assert NASTY not in page
    assert "There are no instances" in visitor.follow(f"/p/{made}/run/2020-01-01T00:00:00Z")
