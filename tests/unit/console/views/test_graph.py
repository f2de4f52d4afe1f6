"""The page's model of a graph: every component has its box, with the state that it has in a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from taskrunner.console.views.graph import GraphPage, graph_page
from taskrunner.model.run_status import RunStatus
from taskrunner.model.states import InstanceStatus
from taskrunner.service.v1.shapes import Cell, Component, Edge, Grid, Run

START = datetime(2026, 2, 13, 2, tzinfo=UTC)
GRID = Grid(
    version=1,
    components=(
        Component(id="Host", name="Host", type="Ec2Resource", category="resource", stage=0),
        Component(id="Ready", name="Ready", type="Exists", category="precondition", stage=0),
        Component(
            id="Load",
            name="Load",
            type="ShellCommandActivity",
            category="activity",
            stage=1,
            where="worker group wg",
        ),
        Component(id="Rows", name="Rows", type="S3DataNode", category="datanode", stage=2),
    ),
    edges=(
        Edge(source="Host", target="Load", kind="runsOn"),
        Edge(source="Ready", target="Load", kind="precondition"),
        Edge(source="Load", target="Rows", kind="output"),
    ),
    runs=(
        Run(
            start=START,
            end=START + timedelta(hours=1),
            status=RunStatus.FAILED,
            counts={"FAILED": 1},
        ),
    ),
)


def cell(component: str, status: str = "FINISHED", **fields: Any) -> Cell:
    given: dict[str, Any] = {"attempts": 1, **fields}
    return Cell(
        instance_id=f"@{component}_2026-02-13T02:00:00",
        component_id=component,
        start=START,
        status=InstanceStatus(status),
        **given,
    )


def page(*cells: Cell, start: datetime | None = START, **query: list[str]) -> GraphPage:
    return graph_page("df-1", GRID, cells, start=start, query=query)


def test_each_component_leads_to_its_instance_and_says_how_it_is() -> None:
    failed = cell("Load", "FAILED", attempts=3, error_id="CommandFailed")
    places = {one.name.text: one for one in page(failed, cell("Ready")).places}
    assert list(places) == ["Host", "Ready", "Load", "Rows"]
    load = places["Load"]
    assert load.address == "/p/df-1/i/@Load_2026-02-13T02:00:00"
    assert load.title == "Load (ShellCommandActivity): failed, 3 attempts, CommandFailed"
    assert (load.type.text, load.state.text) == ("ShellCommandActivity", "✕ failed")
    assert load.sign.style == "bad"
    assert places["Rows"].address == ""
    assert places["Rows"].state.text == "- nothing yet"
    assert places["Rows"].radius > load.radius


def test_lines_stand_in_their_boxes_and_arrows_between_them() -> None:
    found = page(cell("Load"))
    for one in found.places:
        assert one.y < one.name.y < one.type.y < one.state.y < one.y + one.height
        assert one.x >= 0
        assert one.x + one.width <= found.width
        assert one.y + one.height <= found.height
    assert [arrow.title for arrow in found.arrows] == [
        "Host → Load (runsOn)",
        "Ready → Load (precondition)",
        "Load → Rows (output)",
    ]
    assert found.kinds == ["output", "precondition", "runsOn"]


def test_preconditions_and_resources_can_be_left_out_with_their_edges() -> None:
    assert [one.name.text for one in page(hide=["preconditions"]).places] == [
        "Host",
        "Load",
        "Rows",
    ]
    found = page(hide=["resources", "preconditions"])
    assert [one.name.text for one in found.places] == ["Load", "Rows"]
    assert found.kinds == ["output"]
    assert found.others == []


def test_the_outline_says_the_same_as_text() -> None:
    assert "Load   ShellCommandActivity  (worker group wg)" in page().outline
    assert "Host" not in page(hide=["resources"]).outline


def test_runs_to_choose_from_are_the_last_ones_and_the_one_that_is_shown() -> None:
    def told(found: GraphPage) -> list[tuple[str, str, bool]]:
        return [(one.value, one.word, one.chosen) for one in found.choices]

    run = ("2026-02-13T02:00:00Z", "2026-02-13 02:00, failed")
    assert told(page()) == [("", "the newest", True), (*run, False)]
    assert told(page(run=[run[0]])) == [("", "the newest", False), (*run, True)]
    before = START - timedelta(days=9)
    assert told(page(start=before, run=["2026-02-04T02:00:00Z"])) == [
        ("", "the newest", False),
        ("2026-02-04T02:00:00Z", "2026-02-04 02:00", True),
        (*run, False),
    ]


def test_what_only_an_earlier_version_had_is_told_beside_it() -> None:
    ((name, address, sign),) = page(cell("Gone", "CANCELED")).others
    assert (name, address, sign.word) == ("Gone", "/p/df-1/i/@Gone_2026-02-13T02:00:00", "canceled")
