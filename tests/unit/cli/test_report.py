from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from taskrunner.cli.report import Places, json_report, print_report, verdict
from taskrunner.cli.snapshot import Snapshot
from taskrunner.testing import ServiceInProcess
from tests.unit.cli.pictures import alarm, attempt, instance, picture
from tests.unit.service import worlds
from tests.unit.service.worlds import ON_DEMAND, ref, shell

T = "2026-02-13T02:00:00"


# -- for programs ---------------------------------------------------------------------------


def told(snapshot: Snapshot, *, interrupted: bool = False) -> Any:
    return json.loads(json_report(snapshot, interrupted=interrupted))


def test_the_json_document_is_exactly_this(world: ServiceInProcess) -> None:
    pipeline = world.run(
        [ON_DEMAND, shell("A", maximumRetries="0", onFail=ref("Tell")), worlds.alarm("Tell")]
    )
    world.conclude(world.take(), "FAILED", "CommandFailed", "exit code 3\nlast words")
    assert told(Snapshot.take(world.service, pipeline)) == {
        "pipelineId": pipeline,
        "status": "FAILED",
        "instances": [
            {
                "id": f"@A_{T}",
                "component": "A",
                "type": "ShellCommandActivity",
                "status": "FAILED",
                "scheduledStart": T,
                "scheduledEnd": T,
                "attempts": [
                    {
                        "id": f"@A_{T}_Attempt=1",
                        "status": "FAILED",
                        "errorId": "CommandFailed",
                        "errorMessage": "exit code 3\nlast words",
                    }
                ],
            }
        ],
        "alarms": [
            {
                "topicArn": "arn:aws:sns:us-east-1:1:t",
                "subject": "A FAILED",
                "message": f"at {T}",
            }
        ],
    }


def test_what_went_well_has_no_error_and_what_never_ran_no_attempts() -> None:
    row, waiting = instance("A"), instance("B", "CANCELED")
    document = told(picture(row, waiting, attempts=(attempt(row),)))
    (done,), none = (item["attempts"] for item in document["instances"])
    assert (done["errorId"], done["errorMessage"]) == (None, None)
    assert none == []
    assert document["alarms"] == []


def test_every_attempt_is_told_in_order() -> None:
    row = instance("A", attempt_count=2)
    tries = (attempt(row, 1, "FAILED", error_id="X", error_message="no"), attempt(row, 2))
    (shown,) = told(picture(row, attempts=tries))["instances"]
    assert [one["status"] for one in shown["attempts"]] == ["FAILED", "FINISHED"]


def test_data_nodes_and_whatever_ids_there_are_stand_in_the_document() -> None:
    row = instance('Tä"g\n日', category="datanode", type="S3DataNode")
    (shown,) = told(picture(row))["instances"]
    assert shown["component"] == 'Tä"g\n日'


@pytest.mark.parametrize(
    ("status", "interrupted", "word"),
    [
        ("FINISHED", False, "FINISHED"),
        ("FINISHED", True, "FINISHED"),
        ("FAILED", False, "FAILED"),
        ("CANCELED", True, "CANCELED"),
        ("CANCELED", False, "FAILED"),
        ("WAITING_ON_DEPENDENCIES", False, "FAILED"),
    ],
)
def test_the_verdict(status: str, interrupted: bool, word: str) -> None:
    snapshot = picture(instance("A", status))
    assert verdict(snapshot, interrupted=interrupted) == word
    assert told(snapshot, interrupted=interrupted)["status"] == word


# -- for people -----------------------------------------------------------------------------


def places(**given: Any) -> Places:
    fields: dict[str, Any] = {
        "s3_root": None,
        "logs": Path("/w/logs/df-1"),
        "outputs": (),
        "log_uris": (),
    }
    return Places(**{**fields, **given})


def printed(
    snapshot: Snapshot, where: Places | None = None, *, interrupted: bool = False, width: int = 200
) -> list[str]:
    """What follows after the table."""
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None, highlight=False)
    print_report(console, snapshot, where or places(), took_s=12.3, interrupted=interrupted)
    _table, _, rest = out.getvalue().partition("\n\n")
    return rest.splitlines()


def test_a_success_says_where_everything_is() -> None:
    where = places(
        s3_root=Path("/w/s3"),
        outputs=("s3://b/out/day", "/tmp/plain"),
        log_uris=("s3://b/logs/df-1",),
    )
    assert printed(picture(instance("A"), instance("B")), where) == [
        "Output: /w/s3/b/out/day",
        "Output: /tmp/plain",
        "Logs:   /w/s3/b/logs/df-1",
        "Local logs: /w/logs/df-1",
        "FINISHED: 2 FINISHED in 12 s (pipeline df-1)",
    ]


def test_on_a_real_s3_the_uris_are_shown_as_they_are() -> None:
    lines = printed(picture(instance("A")), places(outputs=("s3://b/k",)))
    assert lines[0] == "Output: s3://b/k"


def test_a_failure_says_why_and_after_how_many_attempts() -> None:
    once = instance("A", "FAILED", attempt_count=1, error_id="X", error_message="no table\n")
    often = instance("B", "TIMEDOUT", attempt_count=3, error_id="T", error_message="over 1 m")
    mute = instance("C", "FAILED", attempt_count=1, error_id="Y")
    lines = printed(picture(once, often, mute))
    assert lines[:3] == [
        f"@A_{T} FAILED: [X] no table",
        f"@B_{T} TIMEDOUT after 3 attempts: [T] over 1 m",
        f"@C_{T} FAILED: [Y] no reason was given",
    ]
    assert lines[-1] == "FAILED: 2 FAILED, 1 TIMEDOUT in 12 s (pipeline df-1)"


def test_all_of_a_long_reason_is_printed_on_a_narrow_terminal() -> None:
    story = "the end of standard error " * 20
    row = instance("A", "FAILED", attempt_count=1, error_id="X", error_message=story)
    assert story.strip() in "\n".join(printed(picture(row), width=60))


def test_what_never_ran_names_what_held_it_back() -> None:
    failed = instance("A", "FAILED", error_id="X", error_message="no", attempt_count=1)
    waiting = [instance(name, "WAITING_ON_DEPENDENCIES") for name in "BC"]
    held = {f"@B_{T}": f"@A_{T}", f"@C_{T}": f"@B_{T}"}
    lines = printed(picture(failed, *waiting, blocked=held))
    assert f"@B_{T} never ran: @A_{T} has not FINISHED" in lines
    assert f"@C_{T} never ran: @A_{T} has not FINISHED" in lines
    assert lines[-1].startswith("FAILED: 1 FAILED, 2 WAITING_ON_DEPENDENCIES in ")


def test_a_cascade_says_so() -> None:
    row = instance("B", "CASCADE_FAILED", error_message=f"@A_{T} has FAILED")
    assert printed(picture(row))[0] == f"@B_{T} CASCADE_FAILED: @A_{T} has FAILED"


def test_an_interrupted_run_says_it_once_and_not_for_every_instance() -> None:
    rows = [instance(name, "CANCELED") for name in "ABC"]
    lines = printed(picture(*rows), interrupted=True)
    assert lines[0] == "Stopped on request: what had not ended was canceled."
    assert [line for line in lines if line.startswith("@")] == []
    assert lines[-1].startswith("CANCELED: 3 CANCELED in ")


def test_what_had_failed_before_the_interruption_is_still_told() -> None:
    failed = instance("A", "FAILED", error_id="X", error_message="no", attempt_count=1)
    lines = printed(picture(failed, instance("B", "CANCELED")), interrupted=True)
    assert f"@A_{T} FAILED: [X] no" in lines


def test_work_that_was_done_but_whose_logs_are_nowhere_is_told() -> None:
    row = instance("A")
    tried = attempt(row, error_id="LogsNotShipped", error_message="b: no such bucket\n")
    lines = printed(picture(row, attempts=(tried,)))
    assert f"@A_{T}_Attempt=1 FINISHED, but: [LogsNotShipped] b: no such bucket" in lines
    assert lines[-1].startswith("FINISHED")


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"status": "SENT"}, "Alarm: it failed: look at it"),
        ({"status": "LOGGED"}, "Alarm: it failed: look at it"),
        (
            {"status": "FAILED", "error": "no such topic"},
            "Alarm (not published: no such topic): it failed: look at it",
        ),
        ({"status": "PENDING"}, "Alarm (not published: not yet): it failed: look at it"),
    ],
)
def test_alarms_say_whether_they_were_published(fields: dict[str, str], line: str) -> None:
    row = instance("A")
    assert line in printed(picture(row, alarms=(alarm(row, **fields),)))


def test_data_nodes_are_neither_in_the_table_nor_counted() -> None:
    out = io.StringIO()
    console = Console(file=out, width=200, color_system=None)
    node = instance("Node", "CASCADE_FAILED", category="datanode")
    print_report(console, picture(instance("A"), node), places(), took_s=1, interrupted=False)
    assert "Node" not in out.getvalue()


def test_brackets_in_reasons_are_not_markup() -> None:
    row = instance("A", "FAILED", error_id="X", error_message="[red]no[/] [/blue]")
    assert printed(picture(row))[0] == f"@A_{T} FAILED: [X] [red]no[/] [/blue]"
