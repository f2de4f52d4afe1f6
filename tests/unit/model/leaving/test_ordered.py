from __future__ import annotations

from taskrunner.model.leaving.ordered import ordered
from taskrunner.model.writer import dumps_cli
from tests.unit.model.leaving.definitions import definition, shell


def test_the_same_definition_in_another_order_gives_the_same_file() -> None:
    one = definition(
        shell("B", command="x", workerGroup="wg"),
        {"id": "Default", "name": "Default", "scheduleType": "ondemand"},
        shell("A"),
        parameters=[{"id": "myB", "type": "String"}, {"id": "myA", "description": "a"}],
        values={"myB": "1", "myA": "2"},
    )
    other = definition(
        shell("A"),
        {"id": "B", "name": "B", "workerGroup": "wg", "command": "x", "type": one.objects[0].type},
        {"id": "Default", "name": "Default", "scheduleType": "ondemand"},
        parameters=[{"id": "myA", "description": "a"}, {"id": "myB", "type": "String"}],
        values={"myA": "2", "myB": "1"},
    )
    assert dumps_cli(ordered(one)) == dumps_cli(ordered(other))
    assert [item.id for item in ordered(one).objects] == ["Default", "A", "B"]
    assert ordered(one).objects[2].keys() == ("type", "command", "workerGroup")


def test_the_order_of_a_fields_values_is_kept() -> None:
    found = ordered(definition(shell(scriptArgument=["z", "a"], command="c")))
    assert found.objects[0].strings("scriptArgument") == ("z", "a")
