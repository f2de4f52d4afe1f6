from __future__ import annotations

from datetime import UTC, datetime

import pytest

from taskrunner.cli.operators.tables import Column, counted, elapsed, fitted, strip, text_of, when

NOW = datetime(2026, 2, 13, 12, tzinfo=UTC)
COLUMNS = [
    Column(name="NAME", cell=text_of("name"), least=8, distinct=True),
    Column(name="STATUS", cell=text_of("status")),
    Column(name="NOTE", cell=text_of("note"), least=6, drop=1),
    Column(name="LESS", cell=text_of("less"), drop=2),
    Column(name="NEVER", cell=text_of("nothing"), drop=3),
]
ROWS = [
    {
        "name": f"a-very-long-name-{n}",
        "status": "WAITING_ON_DEPENDENCIES",
        "note": "n" * 40,
        "less": "less",
    }
    for n in range(3)
]


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (200, ["NAME", "STATUS", "NOTE", "LESS"]),
        (60, ["NAME", "STATUS", "NOTE", "LESS"]),
        (42, ["NAME", "STATUS", "NOTE"]),
        (34, ["NAME", "STATUS"]),
        (10, ["NAME", "STATUS"]),
    ],
)
def test_a_table_fits_and_loses_what_matters_least(width: int, names: list[str]) -> None:
    columns, rows = fitted(ROWS, COLUMNS, width)
    assert [column.name for column in columns] == names
    needed = max(sum(map(len, row)) + 2 * (len(row) - 1) for row in rows)
    assert needed <= max(width, 33)
    assert {row[1] for row in rows} == {"WAITING_ON_DEPENDENCIES"}
    assert len({row[0] for row in rows}) == 3


def test_what_controls_a_terminal_is_written_out() -> None:
    _, rows = fitted([{"name": "a\x1b[31m\n", "status": "x"}], COLUMNS, 80)
    assert rows[0][0] == "a\\x1b[31m\\n"


def test_moments_are_told_without_what_is_known() -> None:
    assert when("2026-02-13T11:00:00Z", NOW) == "11:00"
    assert when("2026-02-13T11:00:05.5Z", NOW) == "11:00:05"
    assert when("2026-02-12T23:00:00Z", NOW) == "02-12 23:00"
    assert when("2025-02-13T11:00:00Z", NOW) == "2025-02-13 11:00"
    assert when(None, NOW) == ""
    assert elapsed("2026-02-13T11:00:00Z", None, NOW) == "1 h 0 m"
    assert elapsed("2026-02-13T11:00:00Z", "2026-02-13T11:00:09Z", NOW) == "9.0 s"
    assert elapsed(None, None, NOW) == ""


def test_what_matters_comes_first() -> None:
    assert counted({"WAITING_ON_DEPENDENCIES": 3, "FAILED": 1}) == "1 failed, 3 waiting"
    many = {"WAITING_ON_DEPENDENCIES": 1000, "FAILED": 1}
    assert counted(many, ["WAITING_ON_DEPENDENCIES"]) == "1 failed, 1000+ waiting"
    runs = [{"status": "FAILED"}, {"status": "FINISHED"}]
    assert strip(runs) in {"✓✕", ".F"}  # oldest first
