from __future__ import annotations

import json
from typing import Any

import pytest

from taskrunner.model.catalog import CATALOG
from taskrunner.model.graph import Edge, Graph
from taskrunner.model.inheritance import effective
from taskrunner.model.reader import read_definition


def graph(*objects: dict[str, Any]) -> Graph:
    definition = read_definition(json.dumps({"objects": list(objects)}))

    def category_of(name: str) -> str | None:
        known = CATALOG.get(name)
        return known.category if known else None

    return Graph.of(effective(definition), category_of)


def refs(*ids: str) -> list[dict[str, str]]:
    return [{"ref": key} for key in ids]


def shell(key: str, **fields: Any) -> dict[str, Any]:
    named = {
        name: refs(*value.split()) if name in REFERENCES else value
        for name, value in fields.items()
    }
    return {"id": key, "type": "ShellCommandActivity", "command": "true", **named}


REFERENCES = {"dependsOn", "input", "output", "precondition", "runsOn"}


def node(key: str, **fields: Any) -> dict[str, Any]:
    return {**shell(key, **fields), "type": "S3DataNode"}


def stages(found: Graph) -> list[list[str]]:
    return [[node.id for node in nodes] for _, nodes in found.stages()]


def test_what_is_waited_for_stands_in_an_earlier_stage() -> None:
    found = graph(shell("C", dependsOn="A B"), shell("B", dependsOn="A"), shell("A"), shell("D"))
    assert stages(found) == [["A", "D"], ["B"], ["C"]]
    assert set(found.edges) == {
        Edge("A", "C", "dependsOn"),
        Edge("B", "C", "dependsOn"),
        Edge("A", "B", "dependsOn"),
    }


def test_data_flows_from_its_writer_to_its_reader() -> None:
    found = graph(shell("Read", input="D"), node("D"), shell("Write", output="D"))
    assert stages(found) == [["Write"], ["D"], ["Read"]]
    assert found.out_of("Write") == [Edge("Write", "D", "output")]
    assert found.into("Read", "input") == [Edge("D", "Read", "input")]
    assert found.into("Read", "dependsOn") == []


def test_resources_and_preconditions_come_before_who_needs_them() -> None:
    found = graph(
        shell("A", runsOn="Host", precondition="Ready", input="D"),
        node("D", precondition="Ready"),
        {"id": "Host", "type": "Ec2Resource"},
        {"id": "Ready", "type": "Exists"},
    )
    assert stages(found) == [["Host", "Ready"], ["D"], ["A"]]
    assert found.into("D") == [Edge("Ready", "D", "precondition")]


def test_whoever_reads_what_it_writes_does_not_wait_for_itself() -> None:
    found = graph(shell("A", input="D", output="D"), node("D"))
    assert stages(found) == [["A"], ["D"]]
    assert {edge.kind for edge in found.edges} == {"input", "output"}


@pytest.mark.parametrize(
    "objects",
    [
        [shell("A", dependsOn="B"), shell("B", dependsOn="A")],
        [shell("A", dependsOn="A"), shell("B")],
        [shell("A", dependsOn="C"), shell("B", dependsOn="A"), shell("C", dependsOn="B")],
    ],
)
def test_cycles_are_cut(objects: list[dict[str, Any]]) -> None:
    found = graph(*objects)
    assert stages(found) == [[item["id"] for item in objects]]


def test_references_to_nothing_and_to_what_does_not_run_are_left_out() -> None:
    found = graph(
        shell("A", dependsOn="Gone S"),
        {"id": "S", "type": "Schedule", "period": "1 day", "startDateTime": "2026-01-01T00:00:00"},
        {"id": "Odd", "type": "NoSuchType"},
        {"id": "Proxy", "type": "HttpProxy"},
        {"id": "Bare"},
    )
    assert [node.id for node in found.nodes] == ["A"]
    assert found.edges == ()


def test_a_reference_given_twice_is_one_edge() -> None:
    assert len(graph(shell("A", dependsOn="B B"), shell("B")).edges) == 1


def test_what_is_inherited_counts() -> None:
    found = graph(
        {"id": "Default", "workerGroup": "prod", "dependsOn": refs("First")},
        shell("Second"),
        shell("First", dependsOn="Zero"),
        shell("Zero", dependsOn="Second"),
    )
    assert {node.where for node in found.nodes} == {"worker group prod"}
    assert Edge("First", "Second", "dependsOn") in found.edges


def test_an_activity_on_a_resource_needs_no_worker_group() -> None:
    found = graph(
        {"id": "Default", "workerGroup": "prod"},
        shell("A", runsOn="Host"),
        shell("B"),
        {"id": "Host", "type": "Ec2Resource"},
    )
    where = {node.id: node.where for node in found.nodes}
    assert where == {"A": None, "B": "worker group prod", "Host": None}


def test_nothing_runs_in_an_empty_definition() -> None:
    assert stages(graph({"id": "Default"})) == []
