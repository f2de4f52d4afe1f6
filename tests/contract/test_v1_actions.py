"""Changes by the JSON API of operators, over both stores."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.contract.v1 import OTHER, V1
from tests.unit.service.worlds import ON_DEMAND, T, data, ref, schedule, scheduled, shell

TWO = [ON_DEMAND, shell("A"), shell("B", after="A")]
HOURLY = [
    scheduled(),
    schedule(),
    shell("A", output=ref("D")),
    data("D", directoryPath="s3://b/#{format(@scheduledStartTime,'HH')}"),
    shell("B", input=ref("D")),
]
END = "2026-02-13T04:00:00Z"


def fail(v1: V1) -> None:
    """Fail the next task, with all of its tries."""
    for _ in range(3):
        v1.world.conclude(v1.world.take(), "FAILED", "CommandFailed", "exit code 1")
        v1.world.advance(timedelta(minutes=11))


def told(found: Any) -> dict[str, str]:
    return {one["component_id"]: one["reason"] for one in found["instances"]}


def test_a_pipeline_is_activated_with_values_by_who_may_say_what_it_runs(v1: V1) -> None:
    objects = [ON_DEMAND, shell("A", command="echo #{myWord}")]
    made = v1.pipeline("p", objects, activate=False)
    path, values = f"/pipelines/{made}/activate", {"myWord": ["hello"]}
    assert v1.post(path, parameter_values=values).status == 403
    assert v1.did(path, role="author", parameter_values=values)["state"] == "SCHEDULED"
    main = v1.world.take().objects
    assert [f.value for o in main.values() for f in o.fields if f.key == "command"] == [
        "echo hello"
    ]
    assert v1.post(path, role="viewer").status == 403
    assert v1.post(path, role=OTHER).status == 404


def test_stopping_and_holding_are_the_same_a_second_time(v1: V1) -> None:
    made = v1.pipeline("p", TWO)
    for action, state in (
        ("pause", "PAUSED"),
        ("resume", "SCHEDULED"),
        ("deactivate", "INACTIVE"),
    ):
        for _ in range(2):
            assert v1.did(f"/pipelines/{made}/{action}")["state"] == state
    v1.did(f"/pipelines/{made}/activate")
    v1.did(f"/pipelines/{made}/pause", object_ids=["A"])
    assert v1.world.claim() is None
    v1.did(f"/pipelines/{made}/resume", object_ids=["A"])
    assert v1.world.claim() is not None


def test_a_rerun_is_told_before_it_is_done(v1: V1) -> None:
    made = v1.pipeline("p", [ON_DEMAND | {"failureAndRerunMode": "CASCADE"}, *TWO[1:]])
    fail(v1)
    path = f"/pipelines/{made}/rerun"
    before = v1.world.instances(made)
    dry = v1.did(path, run=T, dry_run=True)
    assert v1.world.instances(made) == before
    assert told(dry) == {"A": "selected", "B": "selected"}
    assert {one["was"] for one in dry["instances"]} == {"FAILED", "CASCADE_FAILED"}
    done = v1.did(path, run=T)
    assert done == {**dry, "dry_run": False}
    assert v1.world.components(made)["A"] == ["WAITING_FOR_RUNNER"]
    # A second time there is nothing to do.
    assert v1.did(path, ids=[f"@A_{T}"]) == {
        "dry_run": False,
        "count": 0,
        "unchanged": 1,
        "instances": [],
    }


def test_what_comes_along_is_told_apart(v1: V1) -> None:
    made = v1.pipeline("p", [ON_DEMAND | {"failureAndRerunMode": "CASCADE"}, *TWO[1:]])
    fail(v1)
    found = v1.did(f"/pipelines/{made}/rerun", ids=[f"@A_{T}"], dry_run=True)
    assert told(found) == {"A": "selected", "B": "along"}


def test_a_rerun_takes_what_is_downstream_with_it_if_asked(v1: V1) -> None:
    made = v1.pipeline("p", [*TWO, shell("C", after="B"), shell("Other")])
    v1.world.work_off()
    path = f"/pipelines/{made}/rerun"
    assert v1.did(path, run=T)["count"] == 0  # nothing failed
    alone = v1.did(path, ids=[f"@A_{T}"], dry_run=True)
    assert told(alone) == {"A": "selected"}
    below = v1.did(path, ids=[f"@A_{T}"], downstream=True)
    assert told(below) == {"A": "selected", "B": "downstream", "C": "downstream"}
    assert v1.world.components(made)["Other"] == ["FINISHED"]
    v1.world.work_off()
    assert set(v1.world.statuses(made).values()) == {"FINISHED"}


def test_instances_are_canceled_and_finished_by_selection(v1: V1) -> None:
    made = v1.pipeline("p", [*TWO, shell("C")])
    cancel, finish = f"/pipelines/{made}/cancel", f"/pipelines/{made}/finish"
    assert v1.did(cancel, component=["C"], dry_run=True)["count"] == 1
    assert v1.world.components(made)["C"] == ["WAITING_FOR_RUNNER"]
    assert v1.did(cancel, component=["C"])["count"] == 1
    assert v1.did(cancel, component=["C"])["count"] == 0
    assert v1.did(finish, ids=[f"@A_{T}"])["count"] == 1
    assert v1.did(finish, ids=[f"@A_{T}"])["count"] == 0
    assert v1.world.components(made)["A"] == ["FINISHED"]
    assert v1.world.components(made)["B"] == ["WAITING_FOR_RUNNER"]
    assert v1.did(finish, status=["CANCELED"])["count"] == 1
    assert v1.world.components(made)["C"] == ["FINISHED"]


@pytest.mark.parametrize("action", ["rerun", "cancel", "finish"])
def test_nothing_is_changed_where_nothing_is_selected(v1: V1, action: str) -> None:
    made = v1.pipeline("p", TWO)
    path = f"/pipelines/{made}/{action}"
    unsaid = v1.post(path)
    assert (unsaid.status, unsaid.json["error"]["code"]) == (400, "InvalidRequestException")
    assert v1.post(path, ids=["@Nobody_2026-01-01T00:00:00"]).status == 404
    assert v1.post(path, role="viewer", run=T).status == 403
    assert v1.post(path, role=OTHER, run=T).status == 404
    assert v1.did(path, component=["Nobody"])["count"] == 0


def test_many_instances_are_changed_in_portions(v1: V1) -> None:
    made = v1.pipeline("p", [ON_DEMAND, *(shell(f"A{n}") for n in range(90))])
    for _ in range(2):
        v1.world.advance(timedelta(hours=1))
        v1.world.service.activate(made)
        v1.world.settle()
    found = v1.did(
        f"/pipelines/{made}/cancel", status=["WAITING_FOR_RUNNER", "WAITING_ON_DEPENDENCIES"]
    )
    assert (found["count"], found["unchanged"]) == (270, 0)
    assert set(v1.world.statuses(made).values()) == {"CANCELED"}


# -- backfill -----------------------------------------------------------------------------------


def hours(found: Any) -> dict[str, str]:
    return {run["start"][11:13]: run["action"] for run in found["runs"]}


def backfilled(v1: V1) -> str:
    """A pipeline that was activated from its third period on: the first two were skipped."""
    made = v1.pipeline("p", HOURLY, activate=False)
    v1.world.advance(timedelta(hours=2, minutes=30))
    v1.did(f"/pipelines/{made}/activate", start=END)
    v1.world.work_off()
    return made


def test_a_backfill_lists_every_run_and_what_it_would_overwrite(v1: V1) -> None:
    made = backfilled(v1)
    path = f"/pipelines/{made}/backfill"
    before = v1.world.instances(made)
    dry = v1.did(path, first=f"{T}Z", last=END, dry_run=True)
    assert v1.world.instances(made) == before
    assert hours(dry) == {"02": "make", "03": "make", "04": "keep"}
    first, _, kept = dry["runs"]
    assert first["overwrites"] == [{"component_id": "A", "node_id": "D", "place": "s3://b/02"}]
    assert (kept["status"], kept["overwrites"], dry["count"]) == ("FINISHED", [], 2)
    done = v1.did(path, first=f"{T}Z", last=END)
    assert hours(done) == hours(dry)
    assert len(v1.world.work_off()) == 4
    assert v1.world.components(made)["B"] == ["FINISHED"] * 3
    # The same again finds nothing left to do.
    again = v1.did(path, first=f"{T}Z", last=END)
    assert set(hours(again).values()) == {"keep"}


def test_a_backfill_runs_again_what_is_wanted(v1: V1) -> None:
    made = v1.pipeline("p", HOURLY)
    v1.world.advance(timedelta(hours=1))
    path, span = f"/pipelines/{made}/backfill", {"first": f"{T}Z", "last": END[:11] + "03:00:00Z"}
    task = v1.world.take()
    v1.world.conclude(task, "FAILED")
    v1.world.service.set_status(made, [f"@A_{T}"], "CANCEL")
    v1.world.settle()
    v1.world.work_off()
    assert set(hours(v1.did(path, **span, redo="missing", dry_run=True)).values()) == {"keep"}
    failed = v1.did(path, **span, redo="failed", dry_run=True)
    assert hours(failed) == {"02": "rerun", "03": "keep"}
    every = v1.did(path, **span, redo="all", component=["A"], dry_run=True)
    assert [run["components"] for run in every["runs"]] == [["A"], ["A"]]
    v1.did(path, **span, redo="failed")
    v1.world.work_off()
    assert v1.world.components(made)["A"] == ["FINISHED"] * 2


def test_what_a_backfill_begins_takes_its_place_as_any_other(v1: V1) -> None:
    """Else a backfill of a year would run all of it at once."""
    made = v1.pipeline("p", [scheduled(maxActiveInstances="2"), schedule(), shell("A")])
    v1.world.advance(timedelta(hours=5))
    v1.world.work_off()
    v1.did(f"/pipelines/{made}/backfill", first=f"{T}Z", last=END, redo="all")
    statuses = v1.world.components(made)["A"]
    assert statuses.count("WAITING_FOR_RUNNER") == 2
    v1.world.work_off()
    assert set(v1.world.components(made)["A"]) == {"FINISHED"}


@pytest.mark.parametrize(
    ("objects", "asked", "why"),
    [
        (TWO, {}, "runs on demand"),
        (HOURLY, {"last": "2027-01-01"}, "in the future"),
        (HOURLY, {"first": "2020-01-01", "last": "2020-01-02"}, "no period of any schedule"),
        (HOURLY, {"component": ["Nobody"]}, "nothing of the pipeline that runs is 'Nobody'"),
        (
            [scheduled(), schedule(period="1 minute"), shell("A")],
            {"last": "2026-02-14T02:00:00"},
            "more than 1000 periods",
        ),
    ],
)
def test_a_backfill_that_cannot_be_is_refused(
    v1: V1, objects: Any, asked: dict[str, Any], why: str
) -> None:
    made = v1.pipeline("p", objects, activate=False)
    path = f"/pipelines/{made}/backfill"
    never = v1.post(path, first=T, last=T)
    assert "was never activated" in never.json["error"]["message"]
    v1.did(f"/pipelines/{made}/activate")
    if "1000" in why:
        v1.world.clock.advance(timedelta(days=2))
        v1.did(f"/pipelines/{made}/deactivate")
    answer = v1.post(path, **{"first": T, "last": T, **asked})
    assert answer.status == 400
    assert why in answer.json["error"]["message"]


# -- many pipelines -----------------------------------------------------------------------------


def outcomes(found: Any) -> dict[str, Any]:
    return {one["name"]: one.get("error", one.get("count")) for one in found["pipelines"]}


def test_pipelines_are_changed_by_selection(v1: V1) -> None:
    broken = v1.pipeline("broken", TWO, tags={"team": "bi"})
    fail(v1)
    v1.pipeline("well", TWO, tags={"team": "bi"})
    v1.world.work_off()
    wrong = [ON_DEMAND, {"id": "X", "type": "ShellCommandActivity"}]
    v1.pipeline("unready", wrong, tags={"team": "ops"}, activate=False)
    assert outcomes(v1.did("/bulk/pause", tag=["team=bi"], dry_run=True)).keys() == {
        "broken",
        "well",
    }
    assert v1.got(f"/pipelines/{broken}")["summary"]["state"] != "PAUSED"
    v1.did("/bulk/pause", tag=["team=bi"])
    assert v1.got("/pipelines", state="PAUSED")["total"] == 2
    v1.did("/bulk/resume", state=["PAUSED"])
    assert v1.got("/pipelines", state="PAUSED")["total"] == 0
    assert outcomes(v1.did("/bulk/rerun", health="ERROR", dry_run=True)) == {"broken": 1}
    assert outcomes(v1.did("/bulk/rerun", health="ERROR")) == {"broken": 1}
    found = outcomes(v1.did("/bulk/activate", name="e"))
    assert found["well"] is None
    # One that cannot be does not keep the others from it.
    assert "cannot run" in found["unready"]
    wrong_calls: list[dict[str, Any]] = [
        {},
        {"ids": [broken], "name": "x"},
        {"ids": [broken], "every": True},
        {"ids": [broken], "limit": 1},
        {"name": "x", "every": True},
        {"every": True, "limit": 0},
        {"every": True, "marker": "x"},
    ]
    for asked in wrong_calls:
        assert v1.post("/bulk/pause", **asked).status == 400
    assert v1.post("/bulk/pause", role=OTHER, ids=[broken]).status == 404


def test_all_that_match_are_changed_in_portions_and_each_of_them_once(v1: V1) -> None:
    """Also where a change takes what it has changed out of the filter."""
    names = [f"portion {number}" for number in range(5)]
    for name in ("q", *reversed(names)):
        v1.pipeline(name, TWO)
    asked: dict[str, Any] = {"name": "portion", "state": ["SCHEDULED"], "limit": 2}
    dry = v1.did("/bulk/pause", **asked, dry_run=True)
    assert (len(dry["pipelines"]), dry["left"]) == (2, 3)
    seen: list[str] = []
    portions: list[int] = []
    marker: dict[str, Any] = {}
    while True:
        found = v1.did("/bulk/pause", **asked, **marker)
        seen += outcomes(found)
        portions.append(found["left"])
        if "marker" not in found:
            break
        marker = {"marker": found["marker"]}
    assert seen == names
    assert portions == [3, 1, 0]
    assert v1.got("/pipelines", state="PAUSED")["total"] == 5
    whole = v1.did("/bulk/resume", every=True)
    assert list(outcomes(whole)) == [*names, "q"]
    assert (whole["left"], "marker" in whole) == (0, False)
    assert v1.got("/pipelines", state="PAUSED")["total"] == 0
    assert outcomes(v1.did("/bulk/pause", role=OTHER, every=True)) == {}
