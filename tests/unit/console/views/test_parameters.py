from __future__ import annotations

from taskrunner.console.views.parameters import parameters_of, with_values_of

PARAMETERS = [{"id": key} for key in ("myWord", "mySame", "myList", "*mySecret")]
NOW = {
    "parameters": PARAMETERS,
    "values": {"myWord": "new", "mySame": "same", "myList": ["a"], "*mySecret": "*****"},
}
EARLIER = {
    "parameters": [*PARAMETERS, {"id": "myGone"}],
    "values": {"myWord": "old", "mySame": "same", "myList": ["b", "c"], "*mySecret": "x"},
}


def test_only_what_was_another_plain_value_is_filled_in() -> None:
    found = with_values_of(parameters_of(NOW), EARLIER)
    assert {one.id: one.filled for one in found} == {
        "myWord": "old",
        "mySame": "",
        "myList": "",
        "*mySecret": "",
    }
    assert [one.value for one in found] == ["new", "same", "a", ""]
