from __future__ import annotations

import pytest

from taskrunner.console.views.differences import (
    AROUND,
    MOST_PAIRED,
    DiffLine,
    Kind,
    changes,
    differences,
)


def told(found: list[DiffLine]) -> list[str]:
    glyphs = {Kind.SAME: " ", Kind.ADDED: "+", Kind.REMOVED: "-", Kind.GAP: "~"}
    return [f"{glyphs[line.kind]}{line.old},{line.new} {line.text}" for line in found]


def both(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """The two texts, as the whole comparison (no gap in it) holds them."""
    found = differences(old, new)
    assert not any(line.kind is Kind.GAP for line in found)
    return (
        [line.text for line in found if line.kind is not Kind.ADDED],
        [line.text for line in found if line.kind is not Kind.REMOVED],
    )


def test_texts_that_are_the_same_differ_in_nothing() -> None:
    assert list(differences(["a", "b"], ["a", "b"])) == []
    assert list(differences([], [])) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["a", "b", "c"], ["a", "x", "c"]),
        ([], ["a"]),
        (["a"], []),
        (["a", "a"], ["a", "a", "a"]),
        (["a", "b"], ["b", "a"]),
        (["x", "a", "y"], ["x", "y"]),
    ],
)
def test_both_texts_are_in_it_whole(old: list[str], new: list[str]) -> None:
    assert both(old, new) == (old, new)


def test_lines_have_their_numbers_in_both_and_what_is_the_same_is_left_out() -> None:
    old = [f"line {number}" for number in range(1, 31)]
    new = [*old[:14], "another", *old[15:]]
    found = list(differences(old, new))
    assert told(found) == [
        "~0,0 11 lines are the same",
        " 12,12 line 12",
        " 13,13 line 13",
        " 14,14 line 14",
        "-15,0 line 15",
        "+0,15 another",
        " 16,16 line 16",
        " 17,17 line 17",
        " 18,18 line 18",
        "~0,0 12 lines are the same",
    ]
    assert changes(found) == (1, 1)


def test_differences_near_each_other_have_no_gap_between_them() -> None:
    old = [str(number) for number in range(20)]
    near, far = 5 + 2 * AROUND, 5 + 2 * AROUND + 2
    for other, gaps in ((near, 0), (far, 1)):
        new = list(old)
        new[5], new[other] = "x", "y"
        found = list(differences(old, new))
        between = [line.kind for line in found][1:-1]
        assert between.count(Kind.GAP) == gaps
    assert "~0,0 1 line is the same" in told(found)


def test_texts_that_have_nothing_in_common_are_not_paired_for_ever() -> None:
    old = [f"old {number}" for number in range(MOST_PAIRED + 1)]
    new = ["same", *(f"new {number}" for number in range(10))]
    assert changes(differences(["same", *old], new)) == (10, len(old))
