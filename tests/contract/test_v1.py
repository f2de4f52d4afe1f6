"""The JSON API of operators, over both stores."""

from __future__ import annotations

import gzip
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from taskrunner.model.log_names import folder_of, part_name
from taskrunner.service.callers import Caller
from taskrunner.service.health import pipeline_health
from taskrunner.service.roster import RunnerCall
from taskrunner.service.settings import LogSettings, ServiceSettings
from taskrunner.testing import ServiceInProcess
from taskrunner.wire.user_agent import RunnerFacts
from tests.contract.v1 import OTHER, V1, seg
from tests.unit.service.worlds import (
    ON_DEMAND,
    T,
    check,
    data,
    ec2,
    ref,
    schedule,
    scheduled,
    shell,
)

TWO = [ON_DEMAND, shell("A"), shell("B", after="A")]
HOURLY = [scheduled(maxActiveInstances="5"), schedule(), shell("A")]


def fail(v1: V1, times: int = 3) -> None:
    """Fail the next task, with all of its tries."""
    for _ in range(times):
        v1.world.conclude(v1.world.take(), "FAILED", "CommandFailed", "exit code 1")
        v1.world.advance(timedelta(minutes=11))


def names(found: Any) -> list[str]:
    return [item["name"] for item in found["pipelines"]]


def test_a_list_shows_what_is_broken_first(v1: V1) -> None:
    well = v1.pipeline("a-well", TWO)
    v1.world.work_off()
    v1.pipeline("b-broken", TWO, tags={"team": "bi"})
    fail(v1)
    v1.pipeline("c-new", TWO, activate=False)
    found = v1.got("/pipelines")
    assert names(found) == ["b-broken", "a-well", "c-new"]
    broken, fine, new = found["pipelines"]
    assert found["total"] == 3
    assert "marker" not in found
    assert broken["health"] == "ERROR"
    assert broken["counts"] == {"FAILED": 1, "WAITING_ON_DEPENDENCIES": 1}
    assert [run["status"] for run in broken["runs"]] == ["FAILED"]
    assert broken["tags"] == {"team": "bi"}
    assert broken["groups"] == ["wg"]
    assert (fine["id"], fine["health"], fine["counts"]) == (well, "HEALTHY", {})
    assert fine["runs"] == [{"start": f"{T}Z", "status": "FINISHED"}]
    assert fine["last_end"] == f"{T}Z"
    assert (new["state"], new["runs"], new["groups"]) == ("PENDING", [], [])
    assert "health" not in new


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"name": "BROK"}, ["b-broken"]),
        ({"state": "PENDING"}, ["c-new"]),
        ({"state": ["PENDING", "PAUSED"]}, ["a-paused", "c-new"]),
        ({"health": "ERROR"}, ["b-broken"]),
        ({"tag": "team"}, ["a-paused", "b-broken"]),
        ({"tag": ["team=bi", "team"]}, ["b-broken"]),
        ({"group": "wg"}, ["b-broken", "a-paused"]),
        ({"group": "wg", "tag": "team=ops"}, ["a-paused"]),
        ({"late": "true"}, []),
        ({"sort": "name"}, ["a-paused", "b-broken", "c-new"]),
        ({"sort": "newest"}, ["c-new", "b-broken", "a-paused"]),
    ],
)
def test_a_list_is_filtered_and_sorted(v1: V1, query: dict[str, Any], wanted: list[str]) -> None:
    paused = v1.pipeline("a-paused", TWO, tags={"team": "ops"})
    v1.world.work_off()
    v1.world.service.set_status(paused, [paused], "PAUSE")
    v1.world.advance(1)
    v1.pipeline("b-broken", TWO, tags={"team": "bi"})
    fail(v1)
    v1.pipeline("c-new", TWO, activate=False)
    found = names(v1.got("/pipelines", **query))
    assert found == wanted if "sort" in query or "group" in query else sorted(found) == wanted


@pytest.mark.parametrize("sort", ["broken", "name", "newest"])
def test_pages_hold_while_pipelines_come_and_go(v1: V1, sort: str) -> None:
    made = [v1.pipeline(f"p{n}", TWO, activate=False) for n in range(5)]
    first = v1.got("/pipelines", sort=sort, limit=2)
    assert first["total"] == 5
    # The last one of the page goes, and all that follow are still seen once.
    v1.world.service.delete_pipeline(first["pipelines"][-1]["id"])
    second = v1.got("/pipelines", sort=sort, limit=2, marker=first["marker"])
    last = v1.got("/pipelines", sort=sort, limit=2, marker=second["marker"])
    seen = [item["id"] for page in (first, second, last) for item in page["pipelines"]]
    assert sorted(seen) == sorted(made)
    assert "marker" not in last


def test_the_health_of_a_list_is_that_of_describe_pipelines(v1: V1) -> None:
    """Also where a precondition failed, and where a later run has mended what failed before."""
    checked = v1.pipeline(
        "checked",
        [ON_DEMAND, check("C", maximumRetries="0"), shell("A", precondition=ref("C"))],
    )
    v1.world.conclude(v1.world.take(), "FAILED", "NotThere", "no")
    mended = v1.pipeline("mended", TWO)
    fail(v1)
    v1.world.advance(timedelta(hours=1))
    v1.world.service.activate(mended)
    v1.world.settle()
    v1.world.work_off()
    broken = v1.pipeline("broken", TWO)
    fail(v1)
    v1.world.service.activate(broken)
    v1.world.settle()
    v1.world.conclude(v1.world.take())
    service, found = v1.world.service, {}
    with service.store.read() as conn:
        for key in (checked, mended, broken):
            found[key] = pipeline_health(conn, key, service.loaded(key, 1).components)
    shown = {item["id"]: item["health"] for item in v1.got("/pipelines")["pipelines"]}
    assert shown == found
    assert set(found.values()) == {"ERROR", "HEALTHY"}


def test_late_pipelines_come_before_those_that_are_well(v1: V1) -> None:
    v1.pipeline("z-late", [scheduled(), schedule(), shell("A", lateAfterTimeout="30 minutes")])
    v1.pipeline("a-well", [ON_DEMAND, shell("A")])
    v1.world.advance(timedelta(minutes=40))
    found = v1.got("/pipelines")["pipelines"]
    assert [(item["name"], item["late"]) for item in found] == [("z-late", 1), ("a-well", 0)]
    assert names(v1.got("/pipelines", late="false")) == ["a-well"]


def test_a_pipeline_is_shown_with_who_paused_what(v1: V1) -> None:
    made = v1.pipeline("p", HOURLY, tags={"k": "v"})
    v1.world.service.set_status(made, [made], "PAUSE")
    v1.world.service.set_status(made, ["A"], "PAUSE")
    found = v1.got(f"/pipelines/{made}")
    assert found["summary"]["state"] == "PAUSED"
    assert found["summary"]["pause"] == {"object_id": made, "by": "anonymous", "since": f"{T}Z"}
    assert [pause["object_id"] for pause in found["pauses"]] == ["A", made]
    assert found["summary"]["next_run"] == "2026-02-13T03:00:00Z"
    assert found["schedule_start"] == f"{T}Z"
    assert (found["latest_version"], found["active_version"], found["on_demand"]) == (1, 1, False)


def test_the_grid_has_components_in_the_order_in_which_they_run(v1: V1) -> None:
    made = v1.pipeline(
        "p",
        [
            scheduled(),
            schedule(),
            shell("B", input=ref("D"), runsOn=ref("M")),
            data("D"),
            shell("A", output=ref("D")),
            ec2("M"),
        ],
    )
    v1.world.advance(timedelta(hours=2))
    found = v1.got(f"/pipelines/{made}/grid", n=2)
    stages = {item["id"]: item["stage"] for item in found["components"]}
    assert stages["A"] < stages["D"] < stages["B"]
    assert {"source": "D", "target": "B", "kind": "input"} in found["edges"]
    assert [run["start"][11:16] for run in found["runs"]] == ["04:00", "03:00"]
    older = v1.got(f"/pipelines/{made}/grid", n=2, until=found["older"])
    assert [run["start"] for run in older["runs"]] == [f"{T}Z"]
    assert "older" not in older


def states(v1: V1, made: str, since: str | None = None) -> tuple[dict[str, str], str]:
    marker = {"since": since} if since else {}
    path = f"/pipelines/{made}/states"
    found = v1.got(path, first=T, last="2026-02-14T00:00:00Z", **marker)
    assert found["delta"] is (since is not None)
    return {c["instance_id"]: c["status"] for c in found["cells"]}, found["marker"]


def test_states_are_told_once_and_then_what_changes(v1: V1) -> None:
    made = v1.pipeline("p", TWO)
    whole, marker = states(v1, made)
    assert whole == {f"@A_{T}": "WAITING_FOR_RUNNER", f"@B_{T}": "WAITING_ON_DEPENDENCIES"}
    unchanged, marker = states(v1, made, marker)
    assert unchanged == {}
    task = v1.world.take()
    changed, marker = states(v1, made, marker)
    assert changed[f"@A_{T}"] == "RUNNING"
    v1.world.conclude(task)
    changed, marker = states(v1, made, marker)
    assert changed == {f"@A_{T}": "FINISHED", f"@B_{T}": "WAITING_FOR_RUNNER"}
    v1.world.work_off()
    v1.world.advance(timedelta(minutes=5))
    changed, marker = states(v1, made, marker)
    assert changed[f"@B_{T}"] == "FINISHED"
    v1.world.advance(timedelta(minutes=5))
    _, marker = states(v1, made, marker)
    assert states(v1, made, marker)[0] == {}
    # What is rerun, and ends as it had ended, has changed all the same.
    v1.world.service.set_status(made, [f"@B_{T}"], "RERUN")
    v1.world.settle()
    v1.world.work_off()
    assert states(v1, made, marker)[0] == {f"@B_{T}": "FINISHED"}


def test_runs_come_in_pages_newest_first(v1: V1) -> None:
    made = v1.pipeline("p", HOURLY)
    v1.world.work_off()
    v1.world.advance(timedelta(hours=2))
    first = v1.got(f"/pipelines/{made}/runs", limit=2)
    assert [(run["start"][11:16], run["status"]) for run in first["runs"]] == [
        ("04:00", "WAITING"),
        ("03:00", "WAITING"),
    ]
    v1.world.take()
    assert v1.got(f"/pipelines/{made}/runs", limit=2)["runs"][1]["status"] == "RUNNING"
    last = v1.got(f"/pipelines/{made}/runs", limit=2, marker=first["marker"])
    assert [run["counts"] for run in last["runs"]] == [{"FINISHED": 1}]
    assert last["runs"][0]["ended"] == f"{T}Z"
    assert "marker" not in last


def test_instances_are_filtered_and_paged(v1: V1) -> None:
    made = v1.pipeline("p", [*HOURLY, shell("B", after="A")])
    v1.world.advance(timedelta(hours=1))
    v1.world.conclude(v1.world.take())
    path = f"/pipelines/{made}/instances"
    assert [i["id"] for i in v1.got(path, status="FINISHED")["instances"]] == [f"@A_{T}"]
    assert [i["id"] for i in v1.got(path, run=T, component="B")["instances"]] == [f"@B_{T}"]
    first = v1.got(path, limit=3)
    last = v1.got(path, limit=3, marker=first["marker"])
    ids = [item["id"] for page in (first, last) for item in page["instances"]]
    assert len(ids) == len(set(ids)) == 4
    assert "marker" not in last


def test_an_instance_and_its_attempts_are_shown_without_secrets(v1: V1) -> None:
    """The id holds what must be percent-encoded in a path."""
    odd = "a/b c?é"
    secret = {"id": "Login", "*password": "geheim", "type": "JdbcDatabase"}
    made = v1.pipeline(
        "p",
        [
            ON_DEMAND,
            shell(odd, **{"*mySecret": "geheim"}),
            shell("C", dependsOn=ref(odd)),
            secret,
        ],
    )
    fail(v1, 1)
    key = f"@{odd}_{T}"
    found = v1.got(f"/pipelines/{made}/instances/{seg(key)}")
    assert found["summary"]["id"] == key
    assert [link["instance_id"] for link in found["followed_by"]] == [f"@C_{T}"]
    assert {"key": "*mySecret", "value": "*****"} in found["fields"]
    assert [attempt["number"] for attempt in found["attempts"]] == [1, 2]
    attempt = v1.got(f"/pipelines/{made}/attempts/{seg(found['attempts'][0]['id'])}")
    assert attempt["summary"]["error_message"] == "exit code 1"
    assert attempt["instance_id"] == key
    assert [(h["state"], h["verdict"]) for h in attempt["handouts"]] == [("DONE", "FAILED")]
    shown = v1.got(f"/pipelines/{made}/definition")
    assert "geheim" not in f"{found}{attempt}{shown}"


def test_versions_of_a_definition_are_kept_and_shown(v1: V1) -> None:
    made = v1.pipeline("p", TWO)
    v1.world.service.put_definition(made, v1.world.service.definition(made))
    found = v1.got(f"/pipelines/{made}/definition", version="active")
    assert found["version"] == 1
    assert [(of["version"], of["active"]) for of in found["versions"]] == [(2, False), (1, True)]
    assert {obj["id"] for obj in found["definition"]["objects"]} == {"Default", "A", "B"}
    assert v1.get(f"/pipelines/{made}/definition", version="3").status == 404


def test_a_log_is_read_from_where_its_agent_pushed_it(tmp_path: Path) -> None:
    logs = LogSettings(s3_root=tmp_path / "s3", folders=(tmp_path / "logs",))
    settings = ServiceSettings(database_url="", logs=logs)
    with ServiceInProcess(settings=settings) as world:
        v1 = V1(world)
        for number, base in enumerate(("s3://bucket/logs/", f"file://{tmp_path}/logs", None)):
            made = v1.pipeline(f"p{number}", [ON_DEMAND, shell("A", pipelineLogUri=base or "")])
            task = v1.world.take()
            path = f"/pipelines/{made}/attempts/{seg(task.attempt_id)}/log"
            if base is None:
                answer = v1.get(path)
                assert (answer.status, answer.json["error"]["code"]) == (404, "NotKeptException")
                assert "on runner.example" in answer.json["error"]["message"]
                continue
            assert v1.got(path)["text"] == ""
            folder = Path(
                folder_of(base, made, "A", f"@A_{T}", task.attempt_id)
                .replace("s3://bucket", f"{tmp_path}/s3/bucket")
                .removeprefix("file://")
            )
            folder.mkdir(parents=True)
            (folder / part_name("StdOutput", 0, 8)).write_bytes(gzip.compress(b"one\ntwo\n"))
            found = v1.got(path, limit=5)
            assert (found["text"], found["offset"], found["final"]) == ("two\n", 4, False)
            assert v1.got(path, before=found["before"])["text"] == "one\n"
            assert v1.got(path, offset=4)["next_offset"] == 8
            v1.world.conclude(task)
            (folder / "StdError.gz").symlink_to("/etc/hostname")
            # A link that leads elsewhere is no log.
            assert v1.got(path, stream="StdError")["text"] == ""


def test_a_log_that_nobody_pushed_is_told_so(tmp_path: Path) -> None:
    logs = LogSettings(log_uri=str(tmp_path), folders=(tmp_path,))
    settings = ServiceSettings(database_url="", logs=logs)
    with ServiceInProcess(settings=settings) as world:
        v1 = V1(world)
        made = v1.pipeline("p", [ON_DEMAND, shell("A")])
        task = world.take()
        world.conclude(task)
        answer = v1.get(f"/pipelines/{made}/attempts/{seg(task.attempt_id)}/log")
        assert answer.status == 404
        assert "it was not pushed yet" in answer.json["error"]["message"]


def heard(
    v1: V1, name: str, group: str, *, busy: int = 0, user: str = "r", paused: str = ""
) -> None:
    """An agent has asked for work."""
    facts = RunnerFacts(runner_id=name, slots=2, busy=busy, groups=(group,), paused=paused)
    caller = Caller(account="000000000000", user="runner")
    v1.world.service.roster.polled(RunnerCall(caller=caller, facts=facts), group, f"host-{name}")
    v1.world.service.roster.save(v1.world.now)


def test_agents_are_told_by_what_they_say_of_themselves(v1: V1) -> None:
    heard(v1, "old", "wg")
    v1.world.advance(timedelta(minutes=5))
    heard(v1, "idle", "wg")
    heard(v1, "full", "wg", busy=2)
    heard(v1, "held", "mine", paused="upgrade")
    found = {one["id"]: one for one in v1.got("/agents")["agents"]}
    assert {key: one["state"] for key, one in found.items()} == {
        "old": "SILENT",
        "idle": "READY",
        "full": "BUSY",
        "held": "PAUSED",
    }
    held = found["held"]
    assert (held["hostname"], held["slots"], held["paused"]) == ("host-held", 2, "upgrade")
    assert [one["id"] for one in v1.got("/agents", group="mine")["agents"]] == ["held"]
    assert [one["id"] for one in v1.got("/agents", state="BUSY")["agents"]] == ["full"]
    assert v1.got("/agents", role=OTHER)["agents"] == []
    assert [one["id"] for one in v1.got("/agents", role="bound")["agents"]] == ["held"]
    v1.world.advance(timedelta(days=2))
    assert v1.got("/agents")["agents"] == []


def test_groups_whose_work_nobody_asks_for_come_first(v1: V1) -> None:
    heard(v1, "one", "a-idle")
    v1.pipeline("p", [ON_DEMAND, shell("A"), shell("B")])
    v1.pipeline("q", [ON_DEMAND | {"workerGroup": "served"}, shell("A"), shell("B")])
    v1.world.advance(timedelta(minutes=1))
    v1.world.take("served")
    heard(v1, "two", "served", busy=1)
    found = v1.got("/groups")["groups"]
    assert [(g["name"], g["ready"], g["running"], g["agents"]) for g in found] == [
        ("wg", 2, 0, 0),
        ("a-idle", 0, 0, 1),
        ("served", 1, 1, 2),  # with the one that has taken the task
    ]
    assert found[0]["oldest_ready"] == f"{T}Z"
    assert (found[2]["slots"], found[2]["busy"]) == (2, 1)
    assert [g["name"] for g in v1.got("/groups", name="SERV")["groups"]] == ["served"]
    assert v1.got("/groups", role=OTHER)["groups"] == []


PATHS = (
    "/pipelines/{id}",
    "/pipelines/{id}/grid",
    "/pipelines/{id}/states?first=2026-01-01&last=2026-01-02",
    "/pipelines/{id}/runs",
    "/pipelines/{id}/instances",
    "/pipelines/{id}/instances/x",
    "/pipelines/{id}/attempts/x",
    "/pipelines/{id}/attempts/x/log",
    "/pipelines/{id}/definition",
)


@pytest.mark.parametrize("path", PATHS)
def test_another_account_finds_nothing(v1: V1, path: str) -> None:
    made = v1.pipeline("p", TWO)
    where, _, query = path.format(id=made).partition("?")
    asked = dict(pair.split("=") for pair in query.split("&")) if query else {}
    answer = v1.get(where, role=OTHER, **asked)
    assert (answer.status, answer.json["error"]["code"]) == (404, "PipelineNotFoundException")
    assert v1.got("/pipelines", role=OTHER)["total"] == 0


def test_a_runner_that_is_bound_to_a_group_sees_the_pipelines_of_it(v1: V1) -> None:
    mine = v1.pipeline("mine", [ON_DEMAND | {"workerGroup": "mine"}, shell("A")])
    other = v1.pipeline("other", TWO)
    assert v1.got(f"/pipelines/{mine}/runs", role="bound")["runs"]
    assert v1.get(f"/pipelines/{other}/runs", role="bound").status == 404
