from __future__ import annotations

from datetime import UTC, datetime, timedelta

from taskrunner.console.views.runs import more_of_run, written
from taskrunner.model.run_status import RunStatus
from taskrunner.service.v1.run_shapes import CriticalStep, RunDetail
from taskrunner.service.v1.shapes import Run

AT = datetime(2026, 11, 30, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def step(key: str, begin: int, end: int | None) -> CriticalStep:
    return CriticalStep(
        instance_id=f"@{key}_1",
        component_id=key,
        began=AT + begin * MINUTE,
        ended=None if end is None else AT + end * MINUTE,
    )


def test_a_path_tells_how_long_each_step_took_and_was_waited_for() -> None:
    run = Run(start=AT, end=AT, status=RunStatus.RUNNING, counts={})
    path = (step("A", 0, 5), step("B", 5, 6), step("C", 16, None))
    page = more_of_run("df-1", RunDetail(run=run, critical_path=path), AT + 20 * MINUTE)
    assert [(one.component_id, one.length, one.waited) for one in page.path] == [
        ("A", "5 min", ""),
        ("B", "1 min", ""),
        ("C", "4 min", "10 min"),
    ]
    assert page.path[0].address == "/p/df-1/i/@A_1"
    assert (page.written, list(page.alarms)) == ("", [])


def test_what_was_written_is_told_as_far_as_it_is_known() -> None:
    assert written(1, 999, 2) == "1 row, 999 B, 2 files"
    assert written(1200, None, None) == "1,200 rows"
    assert written(None, 0, None) == "0 B"
    assert written(None, None, None) == ""
