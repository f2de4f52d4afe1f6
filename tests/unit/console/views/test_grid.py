from __future__ import annotations

from datetime import UTC, datetime, timedelta

from taskrunner.console.views.grid import BY, grid_page
from taskrunner.model.run_status import RunStatus
from taskrunner.model.states import InstanceStatus
from taskrunner.service.v1.shapes import Cell, Component, Grid, Run

AT = datetime(2026, 11, 30, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
COMPONENTS = (
    Component(id="A", name="A", type="T", category="activity", stage=0, where="wg", parent="Base"),
    Component(id="B", name="B", type="T", category="activity", stage=0, where="vm"),
    Component(id="C", name="C", type="T", category="activity", stage=1, where="wg", parent="Base"),
)
RUNS = tuple(
    Run(start=AT + n * HOUR, end=AT + (n + 1) * HOUR, status=RunStatus.RUNNING, counts={})
    for n in (1, 0)
)


def cell(key: str, status: InstanceStatus, start: datetime = AT) -> Cell:
    return Cell(instance_id=f"@{key}_1", component_id=key, start=start, status=status, attempts=1)


CELLS = (
    cell("A", InstanceStatus.FINISHED),
    cell("B", InstanceStatus.FAILED),
    cell("C", InstanceStatus.RUNNING),
    cell("A", InstanceStatus.FINISHED, AT + HOUR),
)


def names(query: dict[str, list[str]]) -> list[tuple[str, str]]:
    grid = Grid(version=1, components=COMPONENTS, edges=(), runs=RUNS)
    page = grid_page("df-1", grid, CELLS, now=AT, query=query)
    return [
        (row.name, " ".join(box.sign.word if box else "-" for box in row.boxes))
        for row in page.rows
    ]


def test_without_a_word_each_component_has_a_row() -> None:
    assert names({}) == [("A", "finished finished"), ("B", "failed -"), ("C", "running -")]
    assert names({"by": ["nothing that is known"]}) == names({})


def test_rows_are_collapsed_by_their_parent_or_where_they_run() -> None:
    assert names({"by": ["parent"]}) == [
        ("Base", "running finished"),
        ("(without one)", "failed -"),
    ]
    assert names({"by": ["resource"]}) == [("wg", "running finished"), ("vm", "failed -")]
    assert set(BY) == {"parent", "resource"}


def test_a_group_that_is_open_has_its_rows_below_it_and_can_be_closed() -> None:
    query = {"by": ["parent"], "open": ["Base"], "n": ["5"]}
    assert [name for name, _ in names(query)] == ["Base", "A", "C", "(without one)"]
    grid = Grid(version=1, components=COMPONENTS, edges=(), runs=RUNS)
    page = grid_page("df-1", grid, CELLS, now=AT, query=query)
    base, first, _, alone = page.rows
    assert (base.is_open, first.inner, alone.is_open) == (True, True, False)
    assert base.toggle == "/p/df-1/grid?by=parent&n=5"
    assert alone.toggle == "/p/df-1/grid?by=parent&open=Base&open=%28without+one%29&n=5"
    assert base.boxes[0] is not None
    assert base.boxes[0].address == base.toggle
    assert "1 finished, 1 running" in base.boxes[0].title
