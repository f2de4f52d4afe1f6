from __future__ import annotations

from taskrunner.model.leaving.changes import (
    definition_changes,
    fixed_changes,
    tag_changes,
)
from taskrunner.model.leaving.manifest import Manifest
from tests.unit.model.leaving.definitions import definition, shell


def test_the_same_in_another_order_is_no_change() -> None:
    one = definition(shell("A", command="x", workerGroup="g"), shell("B"))
    other = definition(shell("B"), shell("A", workerGroup="g", command="x"))
    assert definition_changes(one, other) == []


def test_each_object_field_parameter_and_value_is_told() -> None:
    before = definition(
        shell("A", command="x", dependsOn={"ref": "B"}),
        shell("B"),
        parameters=[{"id": "myX", "type": "String"}],
        values={"myX": "1"},
    )
    after = definition(
        shell("A", command="y", dependsOn="B", stage="true"),
        shell("C"),
        parameters=[{"id": "myX", "type": "Integer"}],
        values={"myX": ["1", "2"]},
    )
    assert [str(change) for change in definition_changes(before, after)] == [
        "~ object 'A', field 'command'",
        "~ object 'A', field 'dependsOn'",
        "+ object 'A', field 'stage'",
        "- object 'B'",
        "+ object 'C'",
        "~ parameter 'myX'",
        "~ value of parameter 'myX'",
    ]
    assert definition_changes(before, after)[0].to_json() == {
        "change": "~",
        "what": "object 'A', field 'command'",
        "before": ["x"],
        "after": ["y"],
    }


def test_tags_of_ones_own_and_what_cannot_be_changed() -> None:
    before = Manifest(name="a", description="d", tags={"x": "1", "aws:y": "1"})
    after = Manifest(name="a", tags={"x": "2", "z": "3"})
    assert [str(change) for change in tag_changes(before, after)] == ["~ tag 'x'", "+ tag 'z'"]
    assert [str(change) for change in fixed_changes(before, after)] == ["- description"]
    assert [str(change) for change in fixed_changes(before, Manifest(name="b"))] == [
        "~ name",
        "- description",
    ]
