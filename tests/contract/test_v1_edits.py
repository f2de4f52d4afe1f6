"""Definitions put by /v1 as a text: what is said of them before, and what is put."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from taskrunner.testing.service import as_definition
from tests.contract.v1 import V1
from tests.unit.service.worlds import ON_DEMAND, T, ref, schedule, scheduled, shell

CANARY = "canary-of-a-secret"
HOURLY = [scheduled(maxActiveInstances="5"), schedule(), shell("A")]


def text(*objects: Mapping[str, Any]) -> str:
    return json.dumps({"objects": objects}, indent=2)


def tried(v1: V1, made: str, given: str, **more: Any) -> Any:
    path = f"/pipelines/{made}/definition"
    return v1.did(path, role="author", text=given, dry_run=True, **more)


def stored(v1: V1, made: str) -> str:
    return repr(v1.world.service.definition(made))


def test_what_is_wrong_stands_at_its_line_and_column_and_nothing_is_put(v1: V1) -> None:
    made = v1.pipeline("p", [ON_DEMAND, shell("A")], activate=False)
    given = text(ON_DEMAND, shell("A", dependsOn=ref("Gone"), lateAfterTimeout="1 hour"))
    found = tried(v1, made, given)
    assert (found["dry_run"], "version" in found) == (True, False)
    lines = given.split("\n")
    for field in ("dependsOn", "lateAfterTimeout"):
        (one,) = [one for one in found["findings"] if one.get("field") == field]
        assert lines[one["line"] - 1].strip().startswith(f'"{field}"')
        assert one["column"] > 1
    assert [one["severity"] for one in found["findings"]] == ["error", "warning"]
    assert v1.got(f"/pipelines/{made}")["latest_version"] == 1


@pytest.mark.parametrize("given", ["", "{", "[1]", '{"objects": [', "objects: [\n  - id"])
def test_what_is_no_definition_is_said_where_it_breaks_off_and_never_put(
    v1: V1, given: str
) -> None:
    made = v1.pipeline("p", [ON_DEMAND, shell("A")], activate=False)
    (one,) = tried(v1, made, given)["findings"]
    assert one["severity"] == "error"
    answer = v1.post(f"/pipelines/{made}/definition", role="author", text=given)
    assert (answer.status, "cannot be read" in answer.json["error"]["message"]) == (400, True)
    assert v1.got(f"/pipelines/{made}")["latest_version"] == 1


def test_what_would_be_another_is_told_by_object_and_field(v1: V1) -> None:
    made = v1.pipeline("p", [ON_DEMAND, shell("A"), shell("B")], activate=False)
    given = text(ON_DEMAND, shell("A", command="echo new"), shell("C"))
    assert {(one["kind"], one["what"]) for one in tried(v1, made, given)["changes"]} == {
        ("changed", "object 'A', field 'command'"),
        ("removed", "object 'B'"),
        ("added", "object 'C'"),
    }
    assert tried(v1, made, text(ON_DEMAND, shell("A"), shell("B")))["changes"] == []


def test_a_mask_stands_for_the_secret_that_is_stored_and_never_becomes_it(v1: V1) -> None:
    secret = {"id": "D", "type": "RdsDatabase", "*password": CANARY, "username": "u"}
    rds = {**secret, "rdsInstanceId": "x", "databaseName": "d"}
    made = v1.pipeline("p", [ON_DEMAND, shell("A"), rds], activate=False)
    shown = v1.got(f"/pipelines/{made}/definition")["definition"]
    given = json.dumps(shown)
    assert CANARY not in given
    path = f"/pipelines/{made}/definition"
    assert tried(v1, made, given)["changes"] == []
    assert v1.did(path, role="author", text=given)["version"] == 2
    assert CANARY in stored(v1, made)
    # Where none is stored, stars are no secret.
    moved = given.replace('"D"', '"E"')
    (one,) = [one for one in tried(v1, made, moved)["findings"] if one["code"] == "refused"]
    assert "none is stored there" in one["message"]
    answer = v1.post(path, role="author", text=moved)
    assert (answer.status, CANARY in answer.body.decode()) == (400, False)
    # Another text in its place is the new secret, and shows nowhere.
    other = given.replace("*****", "another-secret")
    found = v1.did(path, role="author", text=other)
    assert found["version"] == 3
    assert "another-secret" in stored(v1, made)
    assert "another-secret" not in json.dumps(found)
    assert CANARY not in json.dumps(v1.got(path)) + json.dumps(found)


def test_a_guess_at_a_secret_is_not_told_from_another_one(v1: V1) -> None:
    rds = {"id": "D", "type": "RdsDatabase", "username": "u", "databaseName": "d"}
    made = v1.pipeline("p", [ON_DEMAND, {**rds, "*password": CANARY}], activate=False)
    said = [
        tried(v1, made, text(ON_DEMAND, {**rds, "*password": guess})) for guess in (CANARY, "wrong")
    ]
    assert said[0] == said[1]


def test_what_somebody_else_has_put_meanwhile_is_not_overwritten(v1: V1) -> None:
    made = v1.pipeline("p", [ON_DEMAND, shell("A")], activate=False)
    path, given = f"/pipelines/{made}/definition", text(ON_DEMAND, shell("A", command="mine"))
    v1.world.service.put_definition(made, as_definition([ON_DEMAND, shell("Theirs")]))
    answer = v1.post(path, role="author", text=given, based_on=1)
    assert (answer.status, "version 2 was put" in answer.json["error"]["message"]) == (400, True)
    assert "Theirs" in stored(v1, made)
    assert v1.did(path, role="author", text=given, based_on=2)["version"] == 3
    assert v1.did(path, role="author", text=given)["version"] == 4


def test_an_edit_that_a_running_pipeline_does_not_take_is_named_where_it_stands(v1: V1) -> None:
    made = v1.pipeline("p", HOURLY)
    given = text(HOURLY[0], schedule(period="2 hours"), shell("B"))
    found = [one for one in tried(v1, made, given)["findings"] if one["code"] == "forbidden-edit"]
    assert {(one["id"], one.get("field")) for one in found} == {("A", None), ("S", "period")}
    (period,) = [one for one in found if one["id"] == "S"]
    assert '"period"' in given.split("\n")[period["line"] - 1]


def test_the_periods_to_come_are_told_beside_those_that_come_now(v1: V1) -> None:
    made = v1.pipeline("p", HOURLY, activate=False)
    new = tried(v1, made, text(*HOURLY))["periods"]
    assert {one["kind"] for one in new} == {"added"}
    v1.did(f"/pipelines/{made}/activate")
    same = tried(v1, made, text(*HOURLY))["periods"]
    assert [one["kind"] for one in same] == ["same"] * 20
    assert same[0]["start"] > f"{T}Z"
    ends = text(HOURLY[0], schedule(occurrences="3"), shell("A"))
    kinds = [one["kind"] for one in tried(v1, made, ends)["periods"]]
    assert kinds[:2] == ["same", "same"]
    assert set(kinds[2:]) == {"removed"}
    v1.did(f"/pipelines/{made}/deactivate")
    v1.world.advance(timedelta(hours=1))
    # Of a pipeline that stands still, what an activation would begin; of a changed period, too.
    slow = text(HOURLY[0], schedule(period="1 day"), shell("A"))
    starts = [one["start"] for one in tried(v1, made, slow)["periods"]]
    v1.did(f"/pipelines/{made}/definition", role="author", text=slow)
    v1.did(f"/pipelines/{made}/activate")
    planned = v1.got(f"/pipelines/{made}/schedule", n=20)["planned"]
    assert [one["start"] for one in planned] == starts
    on_demand = tried(v1, made, text(ON_DEMAND, shell("A")))
    assert (on_demand["on_demand"], on_demand["periods"]) == (True, [])


def test_who_may_put_definitions_may_put_them_here_within_the_same_limits(v1: V1) -> None:
    made = v1.pipeline("p", [ON_DEMAND, shell("A")], activate=False)
    path, given = f"/pipelines/{made}/definition", text(ON_DEMAND, shell("A"))
    for role in ("viewer", "runner", "operator"):
        assert v1.post(path, role=role, text=given, dry_run=True).status == 403
    assert v1.post(path, role="other", text=given).status == 404
    long = text(ON_DEMAND, shell("A", command="x" * 20_000))
    assert "refused" in {one["code"] for one in tried(v1, made, long)["findings"]}
    assert v1.post(path, role="author", text=long).status == 400
    v1.did(path, role="author", text=given)
    (entry, *_) = v1.got("/audit", pipeline_id=made)["entries"]
    assert (entry["operation"], entry["user"]) == ("PutPipelineDefinition", "author-user")
