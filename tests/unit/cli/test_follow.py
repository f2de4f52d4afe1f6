from __future__ import annotations

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from taskrunner.cli.follow import (
    LineFollower,
    SilentFollower,
    TableFollower,
    duration,
    instance_table,
)
from taskrunner.cli.plain import visible
from taskrunner.cli.snapshot import Snapshot
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import InstanceStatus
from tests.unit.cli.pictures import START, alarm, attempt, instance, picture

WIDTHS = [60, 90, 120]


# -- lines ----------------------------------------------------------------------------------


def lines_of(*snapshots: Snapshot) -> list[str]:
    """What is printed for one snapshot after another, without the time of day."""
    out = io.StringIO()
    follower = LineFollower(out)
    for snapshot in snapshots:
        follower.show(snapshot)
    follower.close()
    return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in out.getvalue().splitlines()]


def test_a_line_for_every_change_and_none_without() -> None:
    waiting = picture(instance("A", "WAITING_FOR_RUNNER", attempt_count=1))
    running = picture(instance("A", "RUNNING", attempt_count=1))
    done = picture(instance("A", attempt_count=1))
    assert lines_of(waiting, waiting, running, running, running, done, done) == [
        "@A_2026-02-13T02:00:00 WAITING_FOR_RUNNER",
        "@A_2026-02-13T02:00:00 RUNNING",
        "@A_2026-02-13T02:00:00 FINISHED",
    ]


def test_what_has_not_begun_is_no_line() -> None:
    assert lines_of(picture(instance("A", "WAITING_ON_DEPENDENCIES"))) == []


def test_another_attempt_is_a_line_even_in_the_same_status() -> None:
    first = instance("A", "WAITING_FOR_RUNNER", attempt_count=1)
    second = instance("A", "WAITING_FOR_RUNNER", attempt_count=2)
    tries = (
        attempt(second, 1, "FAILED", error_message="exit code 3\nmore"),
        attempt(second, 2, "WAITING_FOR_RUNNER"),
    )
    printed = lines_of(picture(first), picture(second, attempts=tries))
    assert printed[1] == "@A_2026-02-13T02:00:00 WAITING_FOR_RUNNER attempt 2  exit code 3"


def test_a_data_node_that_finished_is_no_news_but_one_that_failed_is() -> None:
    fine = instance("D", category="datanode")
    broken = instance("E", "CASCADE_FAILED", category="datanode")
    assert lines_of(picture(fine, broken)) == ["@E_2026-02-13T02:00:00 CASCADE_FAILED"]


def test_each_alarm_is_told_once() -> None:
    row = instance("A", "FAILED")
    one, two = alarm(row), alarm(row, alarm_id="2", subject="again")
    printed = lines_of(
        picture(row, alarms=(one,)), picture(row, alarms=(one,)), picture(row, alarms=(one, two))
    )
    assert printed[1:] == ["  ALARM it failed: look at it", "  ALARM again: look at it"]


def test_what_is_said_is_a_line() -> None:
    out = io.StringIO()
    LineFollower(out).say("stopping")
    assert out.getvalue() == "stopping\n"


def test_an_id_cannot_write_lines_of_its_own() -> None:
    row = instance("A", "RUNNING", instance_id="@A\nB FINISHED\x1b[2J")
    assert lines_of(picture(row)) == [r"@A\nB FINISHED\x1b[2J RUNNING"]


def test_for_json_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    follower = SilentFollower()
    follower.show(picture(instance("A", "FAILED")))
    follower.say("stopping")
    follower.close()
    printed = capsys.readouterr()
    assert printed.out + printed.err == ""


# -- the table ------------------------------------------------------------------------------


def drawn(snapshot: Snapshot, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(instance_table(snapshot, list(snapshot.instances), width))
    return [line.rstrip() for line in capture.get().splitlines()]


def crowded(status: str) -> Snapshot:
    """The widest of everything."""
    row = instance(
        "A" * 60,
        status,
        attempt_count=10,
        actual_start=START - timedelta(minutes=58, seconds=59),
        error_message="a rather long story of what has gone wrong this time " * 3,
    )
    return picture(row, instance("B"))


@pytest.mark.parametrize("status", list(InstanceStatus))
@pytest.mark.parametrize("width", WIDTHS)
def test_a_narrow_terminal_never_cuts_the_status(status: InstanceStatus, width: int) -> None:
    lines = drawn(crowded(status), width)
    assert any(re.search(rf"\b{status}(\s|$)", line) for line in lines), lines
    assert any(re.search(r" 10 +59 m 59 s(\s|$)", line) for line in lines), lines
    assert len(lines) == 3
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (60, ["Component", "Status", "Attempt", "Elapsed"]),
        (90, ["Component", "Period", "Status", "Attempt", "Elapsed"]),
        (120, ["Component", "Period", "Type", "Status", "Attempt", "Elapsed", "Progress"]),
    ],
)
def test_wider_terminals_are_shown_more(width: int, columns: list[str]) -> None:
    row = instance("A", "RUNNING", attempt_count=1, actual_start=START)
    header = drawn(picture(row), width)[0].split()
    assert [name for name in header if name in columns] == columns
    assert ("Type" in header) == ("Type" in columns)
    assert ("Period" in header) == ("Period" in columns)


def test_a_row_says_all_of_an_instance() -> None:
    row = instance("Copy", "RUNNING", attempt_count=2, actual_start=START, type="CopyActivity")
    snapshot = picture(row, attempts=(attempt(row, 2, "RUNNING", progress={"rows": "12345"}),))
    assert drawn(snapshot, 120)[1].split() == [
        *("Copy", "2026-02-13T02:00:00", "CopyActivity", "RUNNING", "2", "1", "m", "0", "s"),
        *("12,345", "rows"),
    ]


def test_brackets_of_ids_and_messages_are_not_markup() -> None:
    row = instance("A[red]", "FAILED", error_message="[bold]no[/bold] [/]", attempt_count=1)
    line = drawn(picture(row), 120)[1]
    assert "A[red]" in line
    assert "[bold]no[/bold] [/]" in line


def test_control_characters_of_ids_are_written_out() -> None:
    lines = drawn(picture(instance("A\n\x1b[2JB")), 120)
    assert len(lines) == 2
    assert r"A\n\x1b[2JB" in lines[1]


class Terminal:
    """A table on a terminal of some height, and what is on it."""

    def __init__(self, height: int, title: str = "orders.json") -> None:
        self.out = io.StringIO()
        console = Console(
            file=self.out, width=120, height=height, force_terminal=True, color_system=None
        )
        self.follower = TableFollower(console, title)

    def show(self, snapshot: Snapshot) -> str:
        before = len(self.out.getvalue())
        self.follower.show(snapshot)
        return self.out.getvalue()[before:]


def many(*statuses: tuple[str, int]) -> list[InstanceRow]:
    return [instance(f"{s[:4]}{n}", s) for s, count in statuses for n in range(count)]


def test_everything_is_shown_where_there_is_room() -> None:
    terminal = Terminal(40)
    shown = terminal.show(picture(*many(("FINISHED", 12), ("RUNNING", 12))))
    terminal.follower.close()
    assert shown.count("FINISHED") == 12
    assert "more" not in shown
    assert "orders.json" in shown


def test_the_table_is_cut_by_the_height_and_says_what_is_left_out() -> None:
    terminal = Terminal(20)
    rows = many(("FINISHED", 30), ("WAITING_ON_DEPENDENCIES", 30), ("FAILED", 3), ("RUNNING", 4))
    shown = terminal.show(picture(*rows))
    terminal.follower.close()
    assert len(shown.strip().splitlines()) <= 20
    # What moves stays first, then what failed, then what waits.
    assert shown.count("RUNNING") == 4
    assert shown.count("FAILED") == 3
    assert shown.count("WAITING_ON_DEPENDENCIES") == 5
    assert "30 more at their end, 25 more waiting" in shown


def test_rows_stay_in_the_order_of_the_run_when_some_are_left_out() -> None:
    terminal = Terminal(12)
    rows = [instance("A", "FAILED"), *many(("FINISHED", 20)), instance("Z", "RUNNING")]
    shown = terminal.show(picture(*rows))
    terminal.follower.close()
    assert shown.index("FAILED") < shown.index("RUNNING")


def test_what_is_said_stands_over_the_table() -> None:
    terminal = Terminal(40)
    terminal.follower.say("stopping; once more ends it at once")
    assert "stopping; once more" in terminal.show(picture(instance("A", "RUNNING")))
    terminal.follower.close()


# -- words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.4, "9.4 s"),
        (12.4, "12 s"),
        (59.4, "59 s"),
        (59.6, "1 m 0 s"),
        (185, "3 m 5 s"),
        (3599.6, "1 h 0 m"),
        (7800, "2 h 10 m"),
        (360_000, "100 h 0 m"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Orders täglich 日", "Orders täglich 日"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("", ""),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    found: Any = visible(text)
    assert found == shown
