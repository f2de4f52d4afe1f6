from __future__ import annotations

import pytest

from taskrunner.console.views.filters import read_filter


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("", {}),
        ("orders", {"name": ["orders"]}),
        ("name~orders name:daily", {"name": ["orders daily"]}),
        ("state:failed", {"health": ["ERROR"]}),
        ("health:ok", {"health": ["HEALTHY"]}),
        ("state:paused state:finished", {"state": ["PAUSED", "FINISHED"]}),
        ("tag:team=bi tag:urgent group:prod", {"tag": ["team=bi", "urgent"], "group": ["prod"]}),
        ("late 'two words'", {"late": ["true"], "name": ["two words"]}),
    ],
)
def test_a_filter_is_what_the_api_takes(text: str, members: dict[str, list[str]]) -> None:
    found = read_filter(text)
    assert (found.members, found.problem) == (members, "")


@pytest.mark.parametrize(
    ("text", "told"),
    [("'open", "quotation mark"), ("owner:me", "owner:me"), ("tag:", "tag:")],
)
def test_a_filter_that_cannot_be_read_says_why(text: str, told: str) -> None:
    assert told in read_filter(text).problem
