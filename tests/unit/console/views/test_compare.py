from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from taskrunner.console.views.compare import ComparePage, compare_page, last_good
from taskrunner.model.run_status import RunStatus
from taskrunner.model.states import InstanceStatus
from taskrunner.service.v1.shapes import InstanceSummary, Run

HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 30, 2, tzinfo=UTC)
BEFORE = NOW - HOUR


def run(start: datetime, status: RunStatus = RunStatus.FINISHED) -> Run:
    return Run(start=start, end=start + HOUR, status=status, counts={})


def step(
    component: str, start: datetime = NOW, took: float | None = 10, **fields: Any
) -> InstanceSummary:
    given: dict[str, Any] = {
        "name": component,
        "type": "ShellCommandActivity",
        "category": "activity",
        "id": f"@{component}_{start:%H}",
        "status": InstanceStatus.FINISHED,
        "end": start + HOUR,
        "attempts": 1,
        "version": 1,
        "began": start,
        "ended": None if took is None else start + timedelta(seconds=took),
    }
    return InstanceSummary(component_id=component, start=start, **{**given, **fields})


def compared(now: list[InstanceSummary], before: list[InstanceSummary]) -> ComparePage:
    return compare_page("df-1", NOW, BEFORE, [run(NOW), run(BEFORE)], now, before)


def test_the_last_good_run_is_one_before_that_finished() -> None:
    runs = [
        run(NOW + HOUR),
        run(NOW, RunStatus.FAILED),
        run(NOW - HOUR, RunStatus.RUNNING),
        run(NOW - 2 * HOUR),
        run(NOW - 3 * HOUR),
    ]
    good = last_good(runs, NOW)
    assert good is not None
    assert good.start == NOW - 2 * HOUR
    assert last_good(runs[:3], NOW) is None


def test_what_took_longer_stands_first_and_what_took_less_last() -> None:
    now = [step("A", took=10), step("B", took=200), step("C", took=5), step("D", took=11)]
    before = [step(key, BEFORE, took=10) for key in ("A", "B", "D")]
    before.insert(2, step("C", BEFORE, took=60))
    page = compared(now, before)
    assert [(pair.component_id, pair.slower, pair.style) for pair in page.pairs] == [
        ("B", "+3 min 10 s (20.0 times)", "bad"),
        ("D", "+1.0 s (1.1 times)", "bad"),
        ("A", "", ""),
        ("C", "-55 s", "ok"),
    ]


@pytest.mark.parametrize(("this", "that"), [(0.3, 0.1), (100, 95), (95, 100), (0.0, 0.0)])
def test_about_as_long_is_not_told(this: float, that: float) -> None:
    (pair,) = compared([step("A", took=this)], [step("A", BEFORE, took=that)]).pairs
    assert (pair.slower, pair.style) == ("", "")


def test_how_many_times_is_left_out_of_next_to_nothing() -> None:
    (pair,) = compared([step("A", took=30)], [step("A", BEFORE, took=0.0)]).pairs
    assert pair.slower == "+30 s"


def test_steps_of_one_run_alone_and_steps_that_go_on_are_told() -> None:
    page = compared(
        [step("New"), step("Runs", took=None)], [step("Old", BEFORE), step("Runs", BEFORE)]
    )
    told = {pair.component_id: (pair.before is None, pair.now is None) for pair in page.pairs}
    assert told == {"New": (True, False), "Old": (False, True), "Runs": (False, False)}
    (runs,) = (pair for pair in page.pairs if pair.component_id == "Runs")
    assert runs.slower == ""
    assert runs.now is not None
    assert runs.now.took == ""


def test_several_instances_of_a_component_are_paired_in_their_order() -> None:
    now = [step("A", id=f"@A_{n}", end=NOW + n * HOUR, took=10 * n) for n in (2, 1)]
    before = [step("A", BEFORE, id=f"@A_0{n}", end=BEFORE + n * HOUR, took=10 * n) for n in (1, 2)]
    page = compared(now, before)
    assert [pair.slower for pair in page.pairs] == ["", ""]
    pairs = [(pair.now, pair.before) for pair in page.pairs]
    assert all(one and other and one.took == other.took for one, other in pairs)


def test_two_versions_of_the_definition_lead_to_what_differs() -> None:
    page = compared([step("A", version=3)], [step("A", BEFORE, version=2)])
    assert page.definition == "/p/df-1/definition?version=3&against=2"
    assert page.versions == "2 and 3"
    assert compared([step("A")], [step("A", BEFORE)]).definition == ""
    assert compared([step("A", version=3)], []).definition == ""


def test_every_other_run_can_be_chosen() -> None:
    page = compared([step("A")], [step("A", BEFORE)])
    assert [(one.value, one.chosen) for one in page.choices] == [("2026-11-30T01:00:00Z", True)]
