from __future__ import annotations

import pytest

from taskrunner.model.near_names import Near, difference, nearness


@pytest.mark.parametrize(
    ("name", "other", "near", "words"),
    [
        ("prod", "Prod", Near.SPELLING, "letter case"),
        ("prod-a", "prod_a", Near.SPELLING, "dash, underscore or the like"),
        ("prod-a", "prod a", Near.SPELLING, "dash, underscore or the like"),
        ("prod-a", "PROD_A", Near.SPELLING, "letter case, dash or underscore"),
        ("prod", " prod", Near.SPELLING, "a blank at its beginning or end"),
        ("prod", "Prod ", Near.SPELLING, "letter case and blanks"),
        ("prod", "production", Near.PREFIX, "one begins with the other"),
        ("Prod-eu", "prod", Near.PREFIX, "one begins with the other"),
    ],
)
def test_names_that_may_be_meant_for_each_other(
    name: str, other: str, near: Near, words: str
) -> None:
    assert nearness(name, other) is nearness(other, name) is near
    assert difference(name, other) == difference(other, name) == words


def test_other_names_are_not_near() -> None:
    assert nearness("prod", "test") is None
