from __future__ import annotations

from taskrunner.model.parameters import parameter_values, with_values
from taskrunner.model.reader import read_definition

DEFINITION = read_definition(
    """{"objects": [],
    "parameters": [
      {"id": "myA", "default": "1"}, {"id": "myB", "default": ["x", "y"]}, {"id": "myC"}
    ],
    "values": {"myB": "z", "myD": ["p", "q"]}}"""
)


def test_values_win_over_defaults() -> None:
    assert parameter_values(DEFINITION) == {"myA": ("1",), "myB": ("z",), "myD": ("p", "q")}


def test_given_values_replace_all_earlier_ones() -> None:
    changed = with_values(DEFINITION, {"myD": ["r"], "myC": ["c", "d"], "myA": []})
    assert parameter_values(changed) == {
        "myA": ("1",),
        "myB": ("z",),
        "myC": ("c", "d"),
        "myD": ("r",),
    }
    assert parameter_values(DEFINITION)["myD"] == ("p", "q")
