"""When a pipeline runs and who did what, as /v1 tells it, over both stores."""

from __future__ import annotations

from datetime import timedelta

from tests.contract.v1 import V1
from tests.unit.service.worlds import ON_DEMAND, schedule, scheduled, shell

HOURLY = [scheduled(maxActiveInstances="5"), schedule(), shell("A")]


def hour(at: str) -> str:
    return at[11:16]


def test_what_comes_is_told_in_its_order_with_when_it_may_run(v1: V1) -> None:
    objects = [scheduled("timeseries", maxActiveInstances="5"), schedule(), shell("A")]
    made = v1.pipeline("hourly", objects)
    found = v1.got(f"/pipelines/{made}/schedule", n=3)
    assert (found["active"], found["on_demand"], found["version"]) == (True, False, 1)
    assert [one["period"] for one in found["schedules"]] == ["1 hour"]
    starts = [hour(one["start"]) for one in found["planned"]]
    assert len(starts) == 3
    assert starts == sorted(starts)
    for one in found["planned"]:
        assert one["runs_at"] == one["end"], "a timeseries runs when its period is over"
        assert one["state"] == "comes"
    # Time passes: the first of them is made, and is none of those that come.
    v1.world.advance(timedelta(hours=1))
    later = v1.got(f"/pipelines/{made}/schedule", n=3)["planned"]
    assert [one["start"] for one in later[:2]] == [one["start"] for one in found["planned"][1:]]


def test_periods_that_an_activation_left_out_are_told_and_those_that_it_skipped(v1: V1) -> None:
    made = v1.pipeline("hourly", HOURLY, activate=False)
    v1.world.advance(timedelta(hours=3))

    def activate() -> None:
        v1.did(f"/pipelines/{made}/activate", start=f"{v1.world.now:%Y-%m-%dT%H:%M:%SZ}")

    activate()
    left_out = v1.got(f"/pipelines/{made}/schedule")["not_run"]
    assert left_out
    assert {one["why"] for one in left_out} == {"missing"}
    assert [one["start"] for one in left_out] == sorted(
        (one["start"] for one in left_out), reverse=True
    )
    v1.did(f"/pipelines/{made}/deactivate")
    stopped = v1.got(f"/pipelines/{made}/schedule")
    assert stopped["active"] is False
    v1.world.advance(timedelta(hours=4))
    activate()
    v1.world.settle()
    found = v1.got(f"/pipelines/{made}/schedule")["not_run"]
    assert [one["why"] for one in found].count("skipped") >= 2
    assert [one for one in found if one["why"] == "missing"] == left_out


def test_a_schedule_that_ends_has_no_more_periods_than_it_says(v1: V1) -> None:
    objects = [scheduled(), schedule(occurrences="30"), shell("A")]
    made = v1.pipeline("ends", objects, activate=False)
    found = v1.got(f"/pipelines/{made}/schedule")
    assert found["active"] is False
    assert len(found["planned"]) == 30
    assert found["schedules"][0]["occurrences"] == 30


def test_what_has_no_schedule_says_so(v1: V1) -> None:
    made = v1.pipeline("once", [ON_DEMAND, shell("A")])
    found = v1.got(f"/pipelines/{made}/schedule")
    assert (found["on_demand"], found["planned"]) == (True, [])


def test_the_audit_is_told_page_by_page_and_by_filters(v1: V1) -> None:
    one, two = (v1.pipeline(name, [ON_DEMAND, shell("A")]) for name in ("one", "two"))
    for made in (one, two, one):
        v1.world.advance(timedelta(seconds=1))
        v1.did(f"/pipelines/{made}/pause")
        v1.world.advance(timedelta(seconds=1))
        v1.did(f"/pipelines/{made}/resume", role="admin")
    whole = v1.got("/audit")["entries"]
    assert [(row["subject"], row["user"], row["after"]) for row in reversed(whole)] == [
        (made, user, after)
        for made in (one, two, one)
        for user, after in (("operator-user", "PAUSE"), ("admin-user", "RESUME"))
    ]
    assert {(row["key_id"], row["address"]) for row in whole} == {
        ("operator", "127.0.0.1"),
        ("admin", "127.0.0.1"),
    }
    pages, marker = [], None
    while True:
        page = v1.got("/audit", limit=4, **({"marker": marker} if marker else {}))
        pages.append(page["entries"])
        marker = page.get("marker")
        if marker is None:
            break
    assert [len(page) for page in pages] == [4, 2]
    assert [row for page in pages for row in page] == whole
    of_two = v1.got("/audit", pipeline_id=two)["entries"]
    assert {row["subject"] for row in of_two} == {two}
    assert len(v1.got("/audit", user="admin-user")["entries"]) == 3
    assert v1.got("/audit", operation="DeletePipeline")["entries"] == []
    assert v1.get("/audit", operation="Nonsense").status == 400
    assert v1.get("/audit", marker="nonsense").status == 400


def test_the_audit_shows_nobody_what_is_not_theirs(v1: V1) -> None:
    made = v1.pipeline("one", [ON_DEMAND, shell("A", workerGroup="mine")])
    hidden = v1.pipeline("two", [ON_DEMAND, shell("A", workerGroup="others")])
    for pipeline in (made, hidden):
        v1.did(f"/pipelines/{pipeline}/pause")
    assert v1.got("/audit", role="other")["entries"] == []
    assert v1.got("/audit", role="other", pipeline_id=made)["entries"] == []
    assert v1.get("/audit", role="bound").status == 403
    assert len(v1.got("/audit", role="bound", pipeline_id=made)["entries"]) == 1
    assert v1.get("/audit", role="bound", pipeline_id=hidden).status == 404
    assert v1.get("/audit", role="runner").status == 403


def test_every_period_of_a_span_is_told_with_what_became_of_it(v1: V1) -> None:
    made = v1.pipeline("hourly", HOURLY, activate=False)
    span = {"first": "2026-02-13T00:00:00Z", "last": "2026-02-13T08:00:00Z"}
    path = f"/pipelines/{made}/periods"
    # Never activated: what an activation would begin.
    states = [(hour(one["start"]), one["state"]) for one in v1.got(path, **span)["periods"]]
    assert states[0] == ("02:00", "due")
    assert {state for _, state in states[1:]} == {"comes"}
    v1.world.advance(timedelta(hours=2, minutes=30))
    v1.did(f"/pipelines/{made}/activate", start="2026-02-13T04:00:00Z")
    v1.world.work_off()
    found = v1.got(path, **span)
    told = [(hour(one["start"]), one["state"], one.get("status")) for one in found["periods"]]
    assert told == [
        ("02:00", "missing", None),
        ("03:00", "missing", None),
        ("04:00", "ran", "FINISHED"),
        ("05:00", "comes", None),
        ("06:00", "comes", None),
        ("07:00", "comes", None),
        ("08:00", "comes", None),
    ]
    assert {one["schedule_id"] for one in found["periods"]} == {"S"}
    assert found["more"] is False
    for wrong in (
        {"first": span["last"], "last": span["first"]},
        {"first": "2026-01-01T00:00:00Z", "last": "2026-06-01T00:00:00Z"},
        {"first": "2026-01-01T00:00:00Z"},
    ):
        assert v1.get(path, **wrong).status == 400
    assert v1.get(path, role="other", **span).status == 404


def test_runs_that_no_schedule_has_made_are_told_too(v1: V1) -> None:
    made = v1.pipeline("orders", [ON_DEMAND, shell("A")])
    span = {"first": "2026-02-01T00:00:00Z", "last": "2026-02-28T00:00:00Z"}
    (one,) = v1.got(f"/pipelines/{made}/periods", **span)["periods"]
    assert (one["state"], one["status"], "schedule_id" in one) == ("ran", "WAITING", False)
    # Of a schedule with very many periods, so many.
    often = [scheduled(maxActiveInstances="1"), schedule(period="15 minutes"), shell("A")]
    made = v1.pipeline("often", often, activate=False)
    span = {"first": "2026-02-13T02:00:00Z", "last": "2026-05-01T00:00:00Z"}
    found = v1.got(f"/pipelines/{made}/periods", **span)
    assert (len(found["periods"]), found["more"]) == (5000, True)
