from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from taskrunner.cli.follow import LineFollower, SilentFollower, TableFollower
from taskrunner.cli.snapshot import Snapshot
from taskrunner.model.rows import InstanceRow
from tests.unit.cli.pictures import alarm, attempt, instance, picture

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


def test_each_alarm_is_told_once_when_it_has_been_tried() -> None:
    row = instance("A", "FAILED")
    new, one, two = alarm(row, tries=0), alarm(row), alarm(row, alarm_id="2", subject="again")
    printed = lines_of(
        picture(row, alarms=(new,)),
        picture(row, alarms=(one,)),
        picture(row, alarms=(one,)),
        picture(row, alarms=(one, two)),
    )
    assert printed[1:] == ["  Alarm: it failed: look at it", "  Alarm: again: look at it"]


def test_an_alarm_that_was_not_published_says_why() -> None:
    row = instance("A", "FAILED")
    failed = alarm(row, status="FAILED", error="no such topic")
    printed = lines_of(picture(row, alarms=(failed,)))
    assert printed[1] == "  Alarm (not published: no such topic): it failed: look at it"


def test_the_report_is_left_the_alarms_that_no_line_has_told() -> None:
    row = instance("A", "FAILED")
    told, new = alarm(row), alarm(row, alarm_id="2", tries=0)
    follower = LineFollower(io.StringIO())
    snapshot = picture(row, alarms=(told, new))
    assert follower.untold(snapshot) == (told, new)
    follower.show(snapshot)
    assert follower.untold(snapshot) == (new,)


def test_what_is_said_is_a_line() -> None:
    out = io.StringIO()
    LineFollower(out).say("stopping")
    assert out.getvalue() == "stopping\n"


def test_an_id_cannot_write_lines_of_its_own() -> None:
    row = instance("A", "RUNNING", instance_id="@A\nB FINISHED\x1b[2J")
    assert lines_of(picture(row)) == [r"@A\nB FINISHED\x1b[2J RUNNING"]


def test_for_json_nothing_is_shown_and_what_is_said_stays_off_the_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    err = io.StringIO()
    follower = SilentFollower(err)
    snapshot = picture(instance("A", "FAILED"), alarms=(alarm(instance("A")),))
    follower.show(snapshot)
    follower.say("stopping")
    follower.close()
    assert err.getvalue() == "stopping\n"
    assert follower.untold(snapshot) == snapshot.alarms
    printed = capsys.readouterr()
    assert printed.out + printed.err == ""


# -- the table ------------------------------------------------------------------------------


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


def test_what_is_said_is_printed_at_once_and_stays_above_the_table() -> None:
    terminal = Terminal(40)
    terminal.show(picture(instance("A", "RUNNING")))
    before = len(terminal.out.getvalue())
    terminal.follower.say("Stopping: waiting for [A]")
    assert "Stopping: waiting for [A]\n" in terminal.out.getvalue()[before:]
    assert "Stopping" not in terminal.show(picture(instance("A", "RUNNING")))
    assert "orders.json" in terminal.show(picture(instance("A", "RUNNING")))
    terminal.follower.close()


def test_the_table_tells_no_alarms() -> None:
    terminal = Terminal(40)
    snapshot = picture(instance("A", "FAILED"), alarms=(alarm(instance("A")),))
    terminal.show(snapshot)
    assert terminal.follower.untold(snapshot) == snapshot.alarms
    terminal.follower.close()


def test_a_long_path_takes_one_line() -> None:
    terminal = Terminal(40, title="/a/long/way/" * 20 + "orders.json")
    shown = terminal.show(picture(instance("A", "RUNNING")))
    terminal.follower.close()
    (title,) = (line for line in shown.splitlines() if "/a/long" in line)
    assert title.rstrip().endswith("orders.json")
    assert len(title.rstrip()) <= 120
