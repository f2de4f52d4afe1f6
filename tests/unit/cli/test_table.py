from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
from rich.console import Console

from taskrunner.cli.snapshot import Snapshot
from taskrunner.cli.table import duration, instance_table
from taskrunner.model.states import InstanceStatus
from tests.unit.cli.pictures import START, attempt, instance, picture

WIDTHS = [60, 80, 100, 120, 160]
LONG = "ExportAllOrdersOfThe{}WarehouseToTheLake"


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


def header(snapshot: Snapshot, width: int) -> list[str]:
    return drawn(snapshot, width)[0].split()


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (40, ["Component", "Status"]),
        (60, ["Component", "Status", "Try", "Elapsed"]),
        (80, ["Component", "Status", "Try", "Elapsed", "Progress"]),
        (100, ["Component", "Status", "Try", "Elapsed", "Progress"]),
        (110, ["Component", "Status", "Attempt", "Elapsed", "Progress"]),
        (150, ["Component", "Period", "Status", "Attempt", "Elapsed", "Progress"]),
        (190, ["Component", "Period", "Type", "Status", "Attempt", "Elapsed", "Progress"]),
    ],
)
def test_the_most_useful_columns_come_first(width: int, columns: list[str]) -> None:
    assert header(crowded("WAITING_ON_DEPENDENCIES"), width) == columns


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (60, ["Component", "Period", "Status", "Elapsed"]),
        (80, ["Component", "Period", "Status", "Try", "Elapsed", "Progress"]),
        (120, ["Component", "Period", "Status", "Attempt", "Elapsed", "Progress"]),
    ],
)
def test_where_there_are_several_periods_they_are_shown(width: int, columns: list[str]) -> None:
    rows = [
        instance("A", "WAITING_ON_DEPENDENCIES", scheduled_start=START + timedelta(days=day))
        for day in range(2)
    ]
    rows.append(instance("B" * 40, scheduled_start=START + timedelta(days=2)))
    assert header(picture(*rows), width) == columns
    days = [re.search(r"02-1[345]", line) for line in drawn(picture(*rows), width)[1:]]
    assert [found and found[0] for found in days] == ["02-13", "02-14", "02-15"]


@pytest.mark.parametrize(
    ("steps", "shown"),
    [
        ([timedelta(0), timedelta(hours=1)], ["02-13 02:00", "02-13 03:00"]),
        ([timedelta(0), timedelta(seconds=1)], ["02-13 02:00:00", "02-13 02:00:01"]),
        ([timedelta(hours=22), timedelta(hours=46)], ["02-14", "02-15"]),
        ([timedelta(hours=22), timedelta(days=400, hours=22)], ["2026-02-14", "2027-03-21"]),
    ],
)
def test_short_periods_leave_out_what_all_share(steps: list[timedelta], shown: list[str]) -> None:
    rows = [instance("A", scheduled_start=START + step) for step in steps]
    lines = drawn(picture(*rows), 80)[1:]
    assert all(f"  {text}  " in line for text, line in zip(shown, lines, strict=True)), lines


@pytest.mark.parametrize("width", WIDTHS)
def test_long_ids_are_cut_so_that_they_can_be_told_apart(width: int) -> None:
    rows = [
        instance(LONG.format(where), "RUNNING") for where in ("Northern", "Southern", "Eastern")
    ]
    lines = drawn(picture(*rows), width)
    assert len({re.split(r"\s", line)[0] for line in lines[1:]}) == 3
    assert len(lines) == 4
    assert max(map(len, lines)) <= width


def test_ids_have_the_room_that_progress_does_not_need() -> None:
    rows = [
        instance("ExportOrdersOfTheNorth", "WAITING_ON_DEPENDENCIES", scheduled_start=start)
        for start in (START, START + timedelta(days=1))
    ]
    assert "ExportOrdersOfTheNorth" in drawn(picture(*rows), 100)[1]
    assert "ExportOr…heNorth" in drawn(picture(*rows), 80)[1]


def test_progress_at_80_columns_says_something() -> None:
    row = instance(LONG.format("Northern"), "RUNNING", attempt_count=1, actual_start=START)
    tried = attempt(row, 1, "RUNNING", progress={"rows": "12345678"})
    waiting = instance("B", "WAITING_ON_DEPENDENCIES")
    assert "12,345,678 rows" in drawn(picture(row, waiting, attempts=(tried,)), 80)[1]


def test_a_row_says_all_of_an_instance() -> None:
    row = instance("Copy", "RUNNING", attempt_count=2, actual_start=START, type="CopyActivity")
    snapshot = picture(row, attempts=(attempt(row, 2, "RUNNING", progress={"rows": "12345"}),))
    assert drawn(snapshot, 140)[1].split() == [
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
