"""Large and hostile definitions: linear time, bounded memory, no exhausted stack."""

from __future__ import annotations

import cProfile
import json
from collections.abc import Callable

import pytest

from taskrunner.model.validate import Report
from taskrunner.model.validate.cycles import find_cycles
from tests.unit.model.validate.definitions import codes, report_on


def _definition(count: int, **last: object) -> str:
    head = [
        {"id": "Default", "schedule": {"ref": "S"}, "role": "r"},
        {"id": "S", "type": "Schedule", "period": "1 day", "startAt": "FIRST_ACTIVATION_DATE_TIME"},
    ]
    chain: list[dict[str, object]] = [
        {
            "id": f"a{i}",
            "type": "ShellCommandActivity",
            "command": f"echo {i} #{{@scheduledStartTime}}",
            "workerGroup": "g",
            "dependsOn": {"ref": f"a{i - 1}" if i else "a0"} if i else [],
        }
        for i in range(count)
    ]
    chain[-1].update(last)
    return json.dumps({"objects": head + chain})


def _calls(work: Callable[[], Report]) -> tuple[int, Report]:
    """How many calls of functions a piece of work makes: its cost on any machine."""
    profile = cProfile.Profile()
    report = profile.runcall(work)
    return sum(entry.callcount for entry in profile.getstats()), report


def test_ten_times_the_objects_are_about_ten_times_the_work() -> None:
    small, large = _definition(60), _definition(600)
    report_on(small)  # loads the catalog
    small_calls, _ = _calls(lambda: report_on(small))
    large_calls, report = _calls(lambda: report_on(large))
    assert codes(report.errors) == []
    assert large_calls < 11 * small_calls  # quadratic work would be 100 times as much


def test_a_long_dependency_circle_is_found() -> None:
    report = report_on(
        _definition(1_200, myNote="x").replace('"dependsOn": []', '"dependsOn": {"ref": "a1199"}')
    )
    assert codes(report.errors) == ["dependency-cycle"]
    assert "more)" in report.errors[0].message


@pytest.mark.no_cover
def test_a_long_chain_of_parents_is_an_error_and_no_deep_recursion() -> None:
    objects = [{"id": f"p{i}", "type": "CSV", "parent": {"ref": f"p{i + 1}"}} for i in range(1_999)]
    report = report_on({"objects": [*objects, {"id": "p1999", "type": "CSV"}]})
    assert codes(report.errors) == ["parent-chain"]


@pytest.mark.no_cover
def test_inheriting_beyond_all_measure_is_refused() -> None:
    default = {"id": "Default", **{f"my{i}": "x" for i in range(3_000)}}
    heirs = [{"id": f"c{i}", "type": "CSV"} for i in range(2_000)]
    report = report_on({"objects": [default, *heirs]})
    assert codes(report.errors) == ["parent-chain"]
    assert "5000000" in report.errors[0].message


def test_many_unknown_names_cost_no_suggestions_each() -> None:
    objects = [{"id": f"x{i}", "type": f"Typ{i}", "parent": {"ref": f"y{i}"}} for i in range(1_000)]
    report_on(_definition(1))  # loads the catalog
    calls, report = _calls(lambda: report_on({"objects": objects}))
    assert len(report.errors) == 2_000
    assert calls < 1_000 * len(objects)


def test_one_object_with_many_unknown_fields_is_linear() -> None:
    fields = {f"f{i}": "x" for i in range(1_500)}
    calls, report = _calls(lambda: report_on({"objects": [{"id": "a", "type": "RegEx", **fields}]}))
    assert len(report.errors) == 1_500
    assert calls < 300 * len(fields)


@pytest.mark.parametrize(
    ("graph", "circles"),
    [
        ({"a": [("x", "b")], "b": [("x", "c")], "c": []}, []),
        ({"a": [("x", "a")]}, [[("a", "x")]]),
        ({"a": [("x", "b"), ("y", "c")], "b": [("z", "a")], "c": []}, [[("a", "x"), ("b", "z")]]),
        (
            {"a": [("x", "b")], "b": [("x", "a")], "c": [("x", "d")], "d": [("x", "c")]},
            [[("a", "x"), ("b", "x")], [("c", "x"), ("d", "x")]],
        ),
    ],
)
def test_circles(
    graph: dict[str, list[tuple[str, str]]], circles: list[list[tuple[str, str]]]
) -> None:
    assert list(find_cycles(graph)) == circles
