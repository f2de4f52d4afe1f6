from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from taskrunner.cli.outcome import CutWait, Output, Places
from taskrunner.cli.report import print_report
from taskrunner.cli.snapshot import Snapshot
from tests.unit.cli.pictures import alarm, attempt, instance, outcome, picture, places

T = "2026-02-13T02:00:00"


def printed(
    snapshot: Snapshot, where: Places | None = None, *, width: int = 200, **given: Any
) -> list[str]:
    """What follows after the table."""
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None, highlight=False)
    told = outcome(snapshot, where, **given)
    print_report(console, told, alarms=snapshot.alarms, runs="Runs kept: 1")
    _table, _, rest = out.getvalue().partition("\n\n")
    return rest.splitlines()


def output(uri: str) -> Output:
    return Output(node="Out", type="S3DataNode", uri=uri)


def test_a_success_says_where_everything_is() -> None:
    a, b = instance("A"), instance("B")
    table = Output(node="T", type="SqlDataNode", table="t")
    where = places(
        s3_root=Path("/w/s3"),
        outputs={
            a.instance_id: (output("s3://b/out/day"), output("/tmp/plain"), table),
            b.instance_id: (output("/tmp/plain"),),
        },
        log_uris={a.instance_id: "s3://b/logs", b.instance_id: "s3://b/logs"},
    )
    snapshot = picture(a, b, attempts=(attempt(a), attempt(b)))
    assert printed(snapshot, where) == [
        "Output: /w/s3/b/out/day",
        "Output: /tmp/plain",
        "Logs:   /w/s3/b/logs/df-1",
        "Local logs: /w/runs/r/logs/df-1",
        "In the console: taskrunner ui /w/runs/r",
        "Runs kept: 1",
        "FINISHED: 2 FINISHED in 12 s (pipeline df-1)",
    ]


def test_on_a_real_s3_the_uris_are_shown_as_they_are() -> None:
    row = instance("A")
    lines = printed(picture(row), places(outputs={row.instance_id: (output("s3://b/k"),)}))
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
    lines = printed(picture(*rows), interrupted=2)
    assert lines[0] == "Stopped on request: what had not ended was canceled."
    assert [line for line in lines if line.startswith("@")] == []
    assert lines[-1].startswith("CANCELED: 3 CANCELED in ")


def test_what_had_failed_before_the_interruption_is_still_told() -> None:
    failed = instance("A", "FAILED", error_id="X", error_message="no", attempt_count=1)
    lines = printed(picture(failed, instance("B", "CANCELED")), interrupted=2)
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
    told = outcome(picture(instance("A"), node))
    print_report(console, told, alarms=(), runs="")
    assert "Node" not in out.getvalue()


def test_brackets_in_reasons_are_not_markup() -> None:
    row = instance("A", "FAILED", error_id="X", error_message="[red]no[/] [/blue]")
    assert printed(picture(row))[0] == f"@A_{T} FAILED: [X] [red]no[/] [/blue]"


def test_alarms_that_were_told_before_are_not_told_again() -> None:
    row = instance("A", "FAILED")
    out = io.StringIO()
    told = outcome(picture(row, alarms=(alarm(row),)))
    print_report(Console(file=out, width=200), told, alarms=(), runs="")
    assert "it failed" not in out.getvalue()


def test_logs_that_were_sent_nowhere_are_not_where_they_should_be() -> None:
    row, unsent = instance("A"), instance("B")
    where = places(log_uris={row.instance_id: "s3://b/l", unsent.instance_id: "s3://b/l"})
    lost = attempt(unsent, error_id="LogsNotShipped", error_message="no such bucket")
    assert not any(
        "s3://" in line for line in printed(picture(row, unsent, attempts=(lost,)), where)
    )
    sent = printed(picture(row, unsent, attempts=(lost, attempt(row))), where)
    assert [line for line in sent if "s3://" in line] == ["Logs:   s3://b/l/df-1"]


def test_waits_that_were_cut_are_told_once_with_the_option() -> None:
    cut = (CutWait(component="A", delay="10 minutes"), CutWait(component="B", delay="1 hour"))
    lines = printed(picture(instance("A")), cut_waits=cut)
    (line,) = (line for line in lines if "retryDelay" in line)
    assert line.endswith("sooner than retryDelay: A (10 minutes), B (1 hour) (--retry-delay-cap)")
    assert not any("retryDelay" in line for line in printed(picture(instance("A"))))
