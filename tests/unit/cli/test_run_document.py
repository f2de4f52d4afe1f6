"""The document of `run --format json`, which programs read: nothing of it may change its name."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from taskrunner.cli.outcome import Output, Places, find_places
from taskrunner.cli.run_document import json_report
from taskrunner.cli.snapshot import Snapshot
from taskrunner.testing import ServiceInProcess
from tests.unit.cli.pictures import START, alarm, attempt, instance, outcome, picture, places
from tests.unit.service import worlds
from tests.unit.service.worlds import ON_DEMAND, ref, shell

T = "2026-02-13T02:00:00"


def told(snapshot: Snapshot, where: Places | None = None, **given: Any) -> Any:
    return json.loads(json_report(outcome(snapshot, where, **given)))


def test_the_document_is_exactly_this(world: ServiceInProcess, tmp_path: Path) -> None:
    node = {
        "id": "Out",
        "type": "S3DataNode",
        "directoryPath": "s3://b/#{format(@scheduledStartTime, 'YYYY')}",
    }
    pipeline = world.run(
        [
            {**ON_DEMAND, "pipelineLogUri": "s3://b/logs/"},
            shell("A", output=ref("Out")),
            shell("B", maximumRetries="0", onFail=ref("Tell"), dependsOn=ref("A")),
            worlds.alarm("Tell"),
            node,
        ]
    )
    world.conclude(world.take())
    world.conclude(world.take(), "FAILED", "CommandFailed", "exit code 3\nlast words")
    snapshot = Snapshot.take(world.service, pipeline)
    where = places(folder=tmp_path, logs=tmp_path / "logs", s3_root=Path("/s3"))
    logs = tmp_path / "logs" / pipeline / "A" / f"@A_{T}" / f"@A_{T}_Attempt=1"
    logs.mkdir(parents=True)
    for name in ("StdOutput", "Activity.log"):
        (logs / name).touch()
    document = told(snapshot, find_places(world.service, snapshot, where))
    by_id = {shown["component"]: shown for shown in document.pop("instances")}
    assert document == {
        "pipelineId": pipeline,
        "definition": "p.json",
        "status": "FAILED",
        "trouble": None,
        "start": T,
        "end": "2026-02-13T02:00:12",
        "durationSeconds": 12.3,
        "folder": str(tmp_path),
        "retryDelayCapSeconds": 2.0,
        "alarms": [
            {
                "instance": f"@B_{T}",
                "event": "onFail",
                "topicArn": "arn:aws:sns:us-east-1:1:t",
                "subject": "B FAILED",
                "message": f"at {T}",
                "status": "LOGGED",
                "error": None,
            }
        ],
    }
    times = {"start": T, "end": T, "durationSeconds": 0.0}
    log_uri = f"s3://b/logs/{pipeline}"
    assert by_id["A"] == {
        "id": f"@A_{T}",
        "component": "A",
        "type": "ShellCommandActivity",
        "status": "FINISHED",
        "scheduledStart": T,
        "scheduledEnd": T,
        **times,
        "errorId": None,
        "errorMessage": None,
        "outputs": [
            {
                "node": "Out",
                "type": "S3DataNode",
                "uri": "s3://b/2026",
                "path": "/s3/b/2026",
                "table": None,
            }
        ],
        "attempts": [
            {
                "id": f"@A_{T}_Attempt=1",
                "status": "FINISHED",
                **times,
                "errorId": None,
                "errorMessage": None,
                "logFolder": str(logs),
                "logFiles": [str(logs / "Activity.log"), str(logs / "StdOutput")],
                "logUri": f"{log_uri}/A/@A_{T}/@A_{T}_Attempt=1",
            }
        ],
    }
    error = {"errorId": "CommandFailed", "errorMessage": "exit code 3\nlast words"}
    assert by_id["B"] == {
        **by_id["A"],
        "id": f"@B_{T}",
        "component": "B",
        "status": "FAILED",
        **error,
        "outputs": [],
        "attempts": [
            {
                "id": f"@B_{T}_Attempt=1",
                "status": "FAILED",
                **times,
                **error,
                "logFolder": None,
                "logFiles": [],
                "logUri": f"{log_uri}/B/@B_{T}/@B_{T}_Attempt=1",
            }
        ],
    }


def test_what_never_ran_has_neither_times_nor_attempts() -> None:
    (shown,) = told(picture(instance("B", "CANCELED")))["instances"]
    assert (shown["start"], shown["end"], shown["durationSeconds"]) == (None, None, None)
    assert (shown["attempts"], shown["outputs"]) == ([], [])


def test_what_still_ran_at_the_end_has_no_end() -> None:
    row = instance("A", "RUNNING", actual_start=START)
    (shown,) = told(picture(row))["instances"]
    assert (shown["start"], shown["end"], shown["durationSeconds"]) == (T, None, None)


def test_every_attempt_is_told_in_order_with_its_time() -> None:
    row = instance("A", attempt_count=2)
    tries = (
        attempt(row, 1, "FAILED", error_id="X", error_message="no"),
        attempt(row, 2, started_at=START, ended_at=START + timedelta(seconds=1.5)),
    )
    (shown,) = told(picture(row, attempts=tries))["instances"]
    assert [one["status"] for one in shown["attempts"]] == ["FAILED", "FINISHED"]
    assert [one["durationSeconds"] for one in shown["attempts"]] == [None, 1.5]


def test_logs_that_are_nowhere_have_no_place() -> None:
    row = instance("A")
    where = places(log_uris={row.instance_id: "s3://b/l"})
    lost = attempt(row, started_at=START, error_id="LogsNotShipped")
    (shown,) = told(picture(row, attempts=(lost,)), where)["instances"]
    assert shown["attempts"][0]["logUri"] is None


def test_a_table_has_no_path_and_a_real_s3_none_on_this_machine() -> None:
    row = instance("A")
    written = (
        Output(node="T", type="SqlDataNode", table="orders"),
        Output(node="S", type="S3DataNode", uri="s3://b/k"),
    )
    (shown,) = told(picture(row), places(outputs={row.instance_id: written}))["instances"]
    assert [(out["uri"], out["path"], out["table"]) for out in shown["outputs"]] == [
        (None, None, "orders"),
        ("s3://b/k", None, None),
    ]


def test_data_nodes_and_whatever_ids_there_are_stand_in_the_document() -> None:
    row = instance('Tä"g\n日', category="datanode", type="S3DataNode")
    (shown,) = told(picture(row))["instances"]
    assert shown["component"] == 'Tä"g\n日'


def test_alarms_say_what_kept_them_from_being_published() -> None:
    row = instance("A")
    alarms = (
        alarm(row),
        alarm(row, alarm_id="2", status="LOGGED"),
        alarm(row, alarm_id="3", status="FAILED", error="no such topic"),
        alarm(row, alarm_id="4", status="PENDING"),
    )
    shown = told(picture(row, alarms=alarms))["alarms"]
    assert [(one["status"], one["error"]) for one in shown] == [
        ("SENT", None),
        ("LOGGED", None),
        ("FAILED", "no such topic"),
        ("PENDING", "not published yet"),
    ]


def test_why_a_run_was_given_up_is_in_the_document() -> None:
    assert told(picture(instance("A")), trouble="the agent ends")["trouble"] == "the agent ends"


@pytest.mark.parametrize(
    ("status", "interrupted", "word"),
    [
        ("FINISHED", None, "FINISHED"),
        ("FAILED", None, "FAILED"),
        ("FINISHED", 2, "FINISHED"),
        ("CANCELED", 15, "CANCELED"),
        ("CANCELED", None, "FAILED"),
        ("WAITING_ON_DEPENDENCIES", None, "FAILED"),
    ],
)
def test_the_verdict(status: str, interrupted: int | None, word: str) -> None:
    snapshot = picture(instance("A", status))
    assert told(snapshot, interrupted=interrupted)["status"] == word
